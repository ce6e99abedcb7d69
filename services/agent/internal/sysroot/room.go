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
	// Image is the image's name.
	Image string
	// Unpacked is the space of the files, Files their number. Both are 0 for a compressed root.
	Unpacked int64
	Files    int
	// Payload is what arrives. It stays in memory until the image is installed, that of a compressed root for good.
	Payload int64
	// AtOnce is how much of the payload is in memory at a time; 0 is all.
	AtOnce int64
	// Compressed tells that the payload is the root.
	Compressed bool
}

const (
	// inodeMemory is what the kernel has of each file of a tmpfs beside its content: an inode and a name.
	inodeMemory = 1 << 10
	// Arrival is what pieces on their way and what unpacks them take at least; of large payloads it is a tenth.
	Arrival = 48 << 20
	// Margin is what a compressed root wants beside the image: for what is written to it, for the files that are being
	// read, and for the system's processes until they run.
	Margin = 128 << 20
)

// parts returns the memory that has to be free: for the root, and beside it.
func (n Need) parts(inMemory bool) (root, beside int64) {
	switch {
	case n.Compressed:
		return n.Payload, Margin
	case inMemory:
		root = n.Unpacked + int64(n.Files)*inodeMemory
	}
	beside = n.Payload
	if n.AtOnce > 0 {
		beside = min(n.AtOnce, n.Payload)
	}
	if n.Payload > 0 {
		beside += max(n.Payload/10, Arrival)
	}
	return root, beside
}

// Space is what there is, in bytes.
type Space struct {
	// Free is what the file system of the root still takes.
	Free int64
	// InMemory tells that the root is a tmpfs or ramfs.
	InMemory bool
	// Memory is what the machine can still use, Total all that its kernel has.
	Memory, Total int64
}

// Check returns why an image that needs n does not fit, or nil. Zero needs always fit.
func (s Space) Check(dir string, n Need) error {
	root, beside := n.parts(s.InMemory)
	if s.Memory < root+beside {
		return fmt.Errorf("image %s needs %s of memory (%s), this machine has %s of which %s are free",
			n.Image, Size(root+beside), n.why(dir, root, beside), Size(s.Total), Size(s.Memory))
	}
	if s.Free < n.Unpacked && !n.Compressed {
		return fmt.Errorf("%s has room for %s, image %s unpacked is %s", dir, Size(s.Free), n.Image, Size(n.Unpacked))
	}
	return nil
}

// Beyond returns the memory that is free besides what n takes, in bytes.
func (s Space) Beyond(n Need) int64 {
	root, beside := n.parts(s.InMemory)
	return s.Memory - root - beside
}

// why tells what the memory is for.
func (n Need) why(dir string, root, beside int64) string {
	switch {
	case n.Compressed:
		return fmt.Sprintf("%s compressed, %s for what is written and runs", Size(root), Size(beside))
	case root > 0:
		return fmt.Sprintf("%s in %s, %s while it arrives", Size(root), dir, Size(beside))
	}
	return "while it arrives"
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
	s, err := MeasureMemory()
	if err != nil {
		return Space{}, err
	}
	s.Free, s.InMemory = int64(fs.Bavail)*fs.Bsize, inMemory(&fs)
	if fs.Blocks == 0 && s.InMemory {
		s.Free = s.Memory // A tmpfs without a limit, or a ramfs.
	}
	return s, nil
}

// MeasureMemory returns what space the machine has, without a root.
func MeasureMemory() (s Space, err error) {
	const file = "/proc/meminfo"
	total, err := meminfo(file, "MemTotal")
	if err != nil {
		return Space{}, err
	}
	free, err := meminfo(file, "MemAvailable")
	return Space{Memory: free, Total: total}, err
}

func inMemory(fs *unix.Statfs_t) bool {
	return int64(fs.Type) == unix.TMPFS_MAGIC || int64(fs.Type) == unix.RAMFS_MAGIC
}

// meminfo returns a line of a meminfo file in bytes, proc(5).
func meminfo(path, name string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("read free memory: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), name+":")
		if !ok {
			continue
		}
		var kib int64
		if _, err := fmt.Sscanf(rest, "%d kB", &kib); err != nil {
			return 0, fmt.Errorf("read free memory from %q: %w", lines.Text(), err)
		}
		return kib << 10, nil
	}
	return 0, errors.Join(fmt.Errorf("%s has no %s", path, name), lines.Err())
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
