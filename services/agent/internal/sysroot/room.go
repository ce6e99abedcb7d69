package sysroot

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Need is what an image takes, in bytes.
type Need struct {
	// Unpacked is the space of the files.
	Unpacked int64
	// Payload is what arrives, and stays in memory until the image is installed.
	Payload int64
}

// Space is what there is, in bytes.
type Space struct {
	// Free is what the file system of the root still takes.
	Free int64
	// InMemory tells that the root is a tmpfs or ramfs.
	InMemory bool
	// Memory is what the machine can still use.
	Memory int64
}

// Check returns why an image that needs n does not fit, or nil. Zero needs always fit.
func (s Space) Check(dir string, n Need) error {
	if s.Free < n.Unpacked {
		return fmt.Errorf("%s has room for %s, the image unpacked is %s", dir, Size(s.Free), Size(n.Unpacked))
	}
	memory, what := n.Payload, "while it arrives"
	if s.InMemory {
		memory += n.Unpacked
		what = fmt.Sprintf("(%s in %s, %s while it arrives)", Size(n.Unpacked), dir, Size(n.Payload))
	}
	if s.Memory < memory {
		return fmt.Errorf("the image needs %s of memory %s, the machine has %s left", Size(memory), what, Size(s.Memory))
	}
	return nil
}

// Measure returns what space dir has. It fails when nothing is mounted there.
func Measure(dir string) (Space, error) {
	mounted, err := IsMount(dir)
	if err != nil {
		return Space{}, err
	}
	if !mounted {
		return Space{}, fmt.Errorf("nothing is mounted on %s", dir)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return Space{}, fmt.Errorf("statfs %s: %w", dir, err)
	}
	memory, err := available("/proc/meminfo")
	if err != nil {
		return Space{}, err
	}
	s := Space{Free: int64(fs.Bavail) * fs.Bsize, Memory: memory, InMemory: inMemory(&fs)}
	if fs.Blocks == 0 && s.InMemory {
		s.Free = memory // A tmpfs without a limit, or a ramfs.
	}
	return s, nil
}

func inMemory(fs *unix.Statfs_t) bool {
	return int64(fs.Type) == unix.TMPFS_MAGIC || int64(fs.Type) == unix.RAMFS_MAGIC
}

// available returns MemAvailable of a meminfo file in bytes.
func available(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("read free memory: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), "MemAvailable:")
		if !ok {
			continue
		}
		var kib int64
		if _, err := fmt.Sscanf(rest, "%d kB", &kib); err != nil {
			return 0, fmt.Errorf("read free memory from %q: %w", lines.Text(), err)
		}
		return kib << 10, nil
	}
	return 0, errors.Join(fmt.Errorf("%s has no MemAvailable", path), lines.Err())
}

// Size writes a number of bytes as people read it, as in 1.5 GiB.
func Size(n int64) string {
	if n < 10<<20 {
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	if n < 1<<30 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
