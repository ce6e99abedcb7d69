package sysroot

import (
	"fmt"
	"os"

	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// IsKind returns why what is mounted on dir is not the root that a group wants, or nil.
func IsKind(dir, root string) error {
	mounts, err := Mounts()
	if err != nil {
		return err
	}
	m, found := top(mounts, dir)
	if !found {
		return fmt.Errorf("nothing is mounted on %s", dir)
	}
	return m.isKind(root, isBlockDevice)
}

// top returns what is mounted last on dir.
func top(mounts []Mount, dir string) (last Mount, found bool) {
	for _, m := range mounts {
		if m.Point == dir {
			last, found = m, true
		}
	}
	return last, found
}

func (m Mount) isKind(root string, block func(path string) bool) error {
	is := fmt.Sprintf("%s of type %s", m.Source, m.Type)
	switch {
	case root == inventoryv1.RootTmpfs && m.Type != "tmpfs":
		return fmt.Errorf("the root of the group is tmpfs, and %s is %s: mount a tmpfs there, or change the group's root", m.Point, is)
	case root == inventoryv1.RootDisk && !block(m.Source):
		return fmt.Errorf("the root of the group is disk, and %s is %s: mount a file system of a disk there, or change the group's root", m.Point, is)
	}
	return nil
}

func isBlockDevice(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&(os.ModeDevice|os.ModeCharDevice) == os.ModeDevice
}
