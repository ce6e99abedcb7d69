package testenv

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Disk is a small disk of its own that a test can fill.
type Disk struct {
	// Dir is where it is mounted.
	Dir string
	t   testing.TB
}

// SmallDisk mounts an empty disk of a size in bytes until the test ends; only root can.
func SmallDisk(t testing.TB, size string) *Disk {
	t.Helper()
	Root(t)
	d := &Disk{Dir: t.TempDir(), t: t}
	if err := syscall.Mount("luna-test", d.Dir, "tmpfs", 0, "mode=0700,size="+size); err != nil {
		t.Fatalf("mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(d.Dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount the small disk: %v", err)
		}
	})
	return d
}

func (d *Disk) ballast() string { return filepath.Join(d.Dir, "ballast") }

// Fill fills the disk up to a number of bytes that stay free; whole pages count.
func (d *Disk) Fill(free int64) {
	d.t.Helper()
	f, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	page := make([]byte, os.Getpagesize())
	for {
		if _, err = f.Write(page); err != nil {
			break
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatalf("fill the disk: %v", err)
	}
	st, err := f.Stat()
	if err == nil {
		err = errors.Join(f.Truncate(max(0, st.Size()-free)), f.Close())
	}
	if err != nil {
		d.t.Fatalf("fill the disk: %v", err)
	}
}

// Clear makes room again.
func (d *Disk) Clear() {
	d.t.Helper()
	if err := os.Remove(d.ballast()); err != nil {
		d.t.Fatal(err)
	}
}
