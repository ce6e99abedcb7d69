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
	// Path of the kernel's file in the tree, its links followed within the tree.
	Path string
}

// places are where a kernel lies, in order, with its version in place of %s: Debian and Ubuntu have the first; SUSE has a
// link from there to the second, or Image; Fedora and RHEL have the second in a container, which has no boot loader, and
// both elsewhere.
var places = []string{"boot/vmlinuz-%s", "lib/modules/%s/vmlinuz", "boot/Image-%s", "lib/modules/%s/Image"}

// ErrNone is why Get finds no kernel at all.
var ErrNone = errors.New("the image holds no kernel")

// Find returns the image's kernels, the newest first, those made for finding faults last. A kernel is at one of the places
// and has modules; a rescue kernel has none and does not count.
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
	slices.SortFunc(found, func(a, b Kernel) int {
		switch debug := isDebug(a.Version); {
		case debug == isDebug(b.Version):
			return Compare(b.Version, a.Version)
		case debug:
			return 1
		}
		return -1
	})
	return found, nil
}

// Get returns the kernel of that version, or the newest one for "". The error names what there is.
func Get(t tree.Tree, version string) (Kernel, error) {
	found, err := Find(t)
	if err != nil {
		return Kernel{}, err
	}
	if len(found) == 0 {
		return Kernel{}, fmt.Errorf("%s: %w: none of %s, each with the modules of that VERSION in /lib/modules/VERSION%s", t, ErrNone, lookedFor("VERSION"), halves(t))
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
	if !t.IsDir(path.Join("lib/modules", version)) {
		return Kernel{}, false
	}
	for _, p := range places {
		// The real path: on the head a link of the image's would lead elsewhere.
		real, _, err := t.Trace(fmt.Sprintf(p, version))
		if err == nil && t.IsFile(real) {
			return Kernel{Version: version, Path: real}, true
		}
	}
	return Kernel{}, false
}

// lookedFor lists the places of a kernel.
func lookedFor(version string) string {
	var all []string
	for _, p := range places {
		all = append(all, "/"+fmt.Sprintf(p, version))
	}
	return strings.Join(all, ", ")
}

// halves says what is there of kernels that are not whole.
func halves(t tree.Tree) string {
	var half []string
	if entries, err := t.ReadDir("lib/modules"); err == nil {
		for _, e := range entries {
			half = append(half, "/lib/modules/"+e.Name()+" has no kernel")
		}
	}
	for _, pattern := range []string{"vmlinuz*", "Image*"} {
		files, err := t.Glob("boot", pattern)
		if err != nil {
			continue
		}
		for _, f := range files {
			half = append(half, "/"+f+" has no modules")
		}
	}
	if len(half) == 0 {
		return ""
	}
	return "; " + strings.Join(half, ", ")
}

// isDebug tells a kernel that is slow, as it looks for its own faults, by the names that RHEL (+debug), SUSE (-debug) and
// others give it: nodes boot it only when it is asked for.
func isDebug(version string) bool {
	words := strings.FieldsFunc(version, func(r rune) bool { return strings.ContainsRune("+-._", r) })
	return slices.Contains(words, "debug") || slices.Contains(words, "dbg")
}
