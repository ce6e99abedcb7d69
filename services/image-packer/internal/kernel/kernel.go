// Package kernel finds the kernels of an image.
package kernel

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/luna-hpc/luna/services/image-packer/internal/tree"
)

// Kernel is a kernel that an image can boot.
type Kernel struct {
	// Version is the name of its directory of modules.
	Version string
	// Path of the kernel's file in the tree.
	Path string
}

// ErrNone is why Get finds no kernel at all.
var ErrNone = errors.New("the image holds no kernel")

// Find returns the image's kernels, the newest first. A kernel has a file /boot/vmlinuz-VERSION or
// /lib/modules/VERSION/vmlinuz, and modules; a rescue kernel has none and does not count.
func Find(t tree.Tree) ([]Kernel, error) {
	entries, err := t.ReadDir("lib/modules")
	if err != nil {
		return nil, fmt.Errorf("find kernels: %w", err)
	}
	var found []Kernel
	for _, e := range entries {
		if k, ok := at(t, e.Name()); ok {
			found = append(found, k)
		}
	}
	slices.SortFunc(found, func(a, b Kernel) int { return Compare(b.Version, a.Version) })
	return found, nil
}

// Get returns the kernel of that version, or the newest one for "". The error names what there is.
func Get(t tree.Tree, version string) (Kernel, error) {
	found, err := Find(t)
	if err != nil {
		return Kernel{}, err
	}
	if len(found) == 0 {
		return Kernel{}, fmt.Errorf("%s: %w: neither /boot/vmlinuz-VERSION nor /lib/modules/VERSION/vmlinuz beside modules", t, ErrNone)
	}
	if version == "" {
		return found[0], nil
	}
	var versions []string
	for _, k := range found {
		if k.Version == version {
			return k, nil
		}
		versions = append(versions, k.Version)
	}
	return Kernel{}, fmt.Errorf("%s has no kernel %q, it has %s", t, version, strings.Join(versions, ", "))
}

func at(t tree.Tree, version string) (Kernel, bool) {
	modules := path.Join("lib/modules", version)
	if !t.IsDir(modules) {
		return Kernel{}, false
	}
	for _, p := range []string{"boot/vmlinuz-" + version, modules + "/vmlinuz", "boot/Image-" + version, modules + "/Image"} {
		if t.IsFile(p) {
			return Kernel{Version: version, Path: p}, true
		}
	}
	return Kernel{}, false
}
