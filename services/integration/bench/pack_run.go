package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/luna-hpc/luna/pkg/release"
)

// contestant is a program that packs trees. Command lines have TREE, OUT (a directory that is there) and ROOT.
type contestant struct {
	name string
	// version prints which one it is.
	version string
	// again packs after a change; empty is as pack.
	pack, again, unpack string

	told                       string
	size                       int64
	packed, repacked, unpacked []cost
}

// cost is what one run took: time, processor time and memory in bytes at its peak.
type cost struct {
	wall, cpu time.Duration
	memory    int64
}

// contestants returns all, Luna's own first.
func contestants(self string) []contestant {
	const tar = "tar --xattrs --xattrs-include='*' --numeric-owner -C "
	lunas := self + " pack-tree TREE OUT"
	return []contestant{
		{name: "luna", version: "echo luna, zstd level " + strconv.Itoa(release.DefaultLevel), pack: lunas, again: lunas, unpack: self + " unpack-tree OUT ROOT"},
		{name: "tar, pigz", version: "tar --version | sed -n 1p; pigz --version 2>&1",
			pack: tar + "TREE -cf - . | pigz > OUT/packed/a.tar.gz", unpack: "pigz -dc OUT/packed/a.tar.gz | " + tar + "ROOT -xpf -"},
		{name: "tar, zstd -T0 -3", version: "zstd --version", pack: tar + "TREE -cf - . | zstd -q -T0 -3 > OUT/packed/a.tar.zst", unpack: "zstd -q -dc OUT/packed/a.tar.zst | " + tar + "ROOT -xpf -"},
		{name: "tar, zstd -T0 -9", version: "zstd --version", pack: tar + "TREE -cf - . | zstd -q -T0 -9 > OUT/packed/a.tar.zst", unpack: "zstd -q -dc OUT/packed/a.tar.zst | " + tar + "ROOT -xpf -"},
		{name: "mksquashfs, gzip", version: "mksquashfs -version | sed -n 1p; command -v unsquashfs",
			pack: "mksquashfs TREE OUT/packed/a.squashfs -noappend -quiet -no-progress", unpack: "unsquashfs -quiet -no-progress -f -d ROOT OUT/packed/a.squashfs"},
		{name: "mksquashfs, zstd -3", version: "mksquashfs -version | sed -n 1p; command -v unsquashfs",
			pack:   "mksquashfs TREE OUT/packed/a.squashfs -noappend -quiet -no-progress -comp zstd -Xcompression-level 3",
			unpack: "unsquashfs -quiet -no-progress -f -d ROOT OUT/packed/a.squashfs"},
		{name: "mkfs.erofs, lz4hc", version: "command -v mkfs.erofs; fsck.erofs -V 2>&1",
			pack: "mkfs.erofs --quiet -zlz4hc OUT/packed/a.erofs TREE", unpack: "fsck.erofs --extract=ROOT --overwrite OUT/packed/a.erofs"},
	}
}

// look notes the version, and is an error when a program is missing.
func (c *contestant) look(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "bash", "-e", "-o", "pipefail", "-c", c.version).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s is missing, run make setup: %w: %s", c.name, err, out)
	}
	c.told = strings.Join(strings.Fields(string(out)), " ")
	return nil
}

// fill puts directories into a command line.
func (p *packing) fill(line string) string {
	return "mkdir -p " + p.out + "/packed; " + strings.NewReplacer("TREE", p.tree, "OUT", p.out, "ROOT", p.root).Replace(line)
}

// run runs a command line in a process group of its own.
func run(ctx context.Context, line string) (cost, error) {
	var words strings.Builder
	cmd := exec.CommandContext(ctx, "bash", "-e", "-o", "pipefail", "-c", line)
	cmd.Stdout, cmd.Stderr = &words, &words
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		return cost{}, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	peaks := map[string]int64{}
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		select {
		case err := <-ended:
			tick.Stop()
			if err != nil {
				return cost{}, fmt.Errorf("%s: %w: %s", line, err, words.String())
			}
			c := cost{cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
			for _, n := range peaks {
				c.memory += n
			}
			return c, nil
		case <-tick.C:
			watch(cmd.Process.Pid, peaks)
		}
	}
}

// watch notes the peak of each process of a group. Of one that ends meanwhile, the last stays.
func watch(group int, peaks map[string]int64) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is right
	for _, stat := range stats {
		data, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
		if len(fields) < 3 || fields[2] != strconv.Itoa(group) {
			continue
		}
		dir := filepath.Dir(stat)
		var kilobytes int64
		if _, err := fmt.Sscan(value(filepath.Join(dir, "status"), "VmHWM"), &kilobytes); err == nil {
			peaks[dir] = kilobytes << 10
		}
	}
}

// PackTree packs a tree into out/packed, and remembers there what it was made of; as a process of its own it is Luna's
// side of Pack.
func PackTree(ctx context.Context, tree, out string) error {
	m, err := release.Pack(ctx, release.Options{Tree: tree, PayloadDir: filepath.Join(out, "packed"), Index: filepath.Join(out, "index")})
	if err != nil {
		return err
	}
	data, err := m.Encode()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "manifest"), data, 0o600)
}

// UnpackTree unpacks what PackTree packed, two segments at a time as a node with two processors.
func UnpackTree(ctx context.Context, out, root string) error {
	data, err := os.ReadFile(filepath.Join(out, "manifest"))
	if err != nil {
		return err
	}
	m, err := release.ParseManifest(data)
	if err != nil {
		return err
	}
	u := release.NewUnpacker(root, m)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2)
	for _, s := range m.Segments {
		g.Go(func() error {
			f, err := os.Open(filepath.Join(out, "packed", s.Digest.Hex()))
			if err != nil {
				return err
			}
			return errors.Join(u.Segment(ctx, s, f), f.Close())
		})
	}
	return errors.Join(g.Wait(), u.Finish())
}
