package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// PackOptions say how to compare packing with what others do.
type PackOptions struct {
	// From is the directory whose files the packed tree is made of, again and again with changes.
	From string
	// Size is how many bytes the files of the tree have at least.
	Size int64
	// Repeats is how often each program packs and unpacks.
	Repeats int
	// Dir is where the tree and what is made of it go; os.TempDir when empty.
	Dir string
	// Self is the program that packs with PackTree when it is told pack-tree, and unpacks when unpack-tree.
	Self string
	// Out gets the table, Log what is going on.
	Out, Log io.Writer
}

// Pack measures full packs, packs after a small change and unpacking beside what tar, pigz, zstd, mksquashfs and
// mkfs.erofs need for the same tree, in turn. It is an error when one of the programs is missing or fails; to be slow
// is none. It needs root, for a tmpfs to unpack to.
func Pack(ctx context.Context, opt PackOptions) (err error) {
	all := contestants(opt.Self)
	for i := range all {
		if err := all[i].look(ctx); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp(opt.Dir, "luna-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p := &packing{PackOptions: opt, tree: filepath.Join(dir, "tree"), root: filepath.Join(dir, "root"), out: filepath.Join(dir, "out"), load: firstLine("/proc/loadavg")}
	fmt.Fprintf(opt.Log, "making a tree of %d MB of %s\n", opt.Size/1e6, opt.From)
	if p.files, p.bytes, err = growTree(ctx, opt.From, p.tree, opt.Size); err != nil {
		return fmt.Errorf("make a tree: %w", err)
	}
	for round := range opt.Repeats {
		for i := range all {
			fmt.Fprintf(opt.Log, "round %d of %d: %s\n", round+1, opt.Repeats, all[i].name)
			if err := p.measure(ctx, &all[i], round); err != nil {
				return fmt.Errorf("%s: %w", all[i].name, err)
			}
		}
	}
	return p.write(all)
}

// packing is one comparison on its way.
type packing struct {
	PackOptions
	tree, root, out string
	files           int
	bytes           int64
	load            string
}

// measure lets a program pack the tree, again after a change if it can, and unpack it.
func (p *packing) measure(ctx context.Context, c *contestant, round int) (err error) {
	if err := os.Mkdir(p.out, 0o755); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(p.out)) }()
	if err := p.once(ctx, c, &c.packed, c.pack); err != nil {
		return err
	}
	if c.size, err = sizeOf(p.out); err != nil {
		return err
	}
	if c.again != "" {
		if err := change(p.tree, round); err != nil {
			return err
		}
		if err := p.once(ctx, c, &c.repacked, c.again); err != nil {
			return err
		}
	}
	return p.unpack(ctx, c)
}

// unpack lets a program unpack into a tmpfs, and counts what is there.
func (p *packing) unpack(ctx context.Context, c *contestant) (err error) {
	if err := os.MkdirAll(p.root, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("luna-bench", p.root, "tmpfs", 0, "mode=0755,size=90%"); err != nil {
		return fmt.Errorf("mount a tmpfs: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Unmount(p.root, 0)) }()
	if err := p.once(ctx, c, &c.unpacked, c.unpack); err != nil {
		return err
	}
	files, bytes, err := countTree(p.root)
	if err == nil && (files != p.files || bytes != p.bytes) {
		err = fmt.Errorf("%d files with %d bytes are unpacked, not %d with %d", files, bytes, p.files, p.bytes)
	}
	return err
}

// once runs a command line until its files are on the disk, and notes what it took.
func (p *packing) once(ctx context.Context, c *contestant, to *[]cost, line string) error {
	begun := time.Now()
	took, err := run(ctx, p.fill(line))
	if err != nil {
		return err
	}
	if err := syncDir(p.out); err != nil {
		return err
	}
	took.wall = time.Since(begun)
	*to = append(*to, took)
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}
