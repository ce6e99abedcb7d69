package pack

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/luna-hpc/luna/pkg/sepolicy"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/image-packer/internal/initrd"
	"github.com/luna-hpc/luna/services/image-packer/internal/scan"
	"github.com/luna-hpc/luna/services/image-packer/internal/tree"
)

// ofImage tells what of an image's description has no effect.
func ofImage(image *inventoryv1.Osimage) []string {
	if image.Dracutmodules == "" || image.Dracutmodules == inventoryv1.DefaultDracutmodules {
		return nil
	}
	return []string{fmt.Sprintf("dracutmodules %q have no effect: dracut does not make this initrd", image.Dracutmodules)}
}

// Mounted tells of a directory of a tree where another file system is mounted.
func Mounted(tree, name string) string {
	return fmt.Sprintf("%s is a mount: the directory is taken, and nothing that is in it", path.Join(tree, strings.ToValidUTF8(name, "?")))
}

// ofInitrd tells in lines what an initrd should have and the image does not, and what was left out of it.
func ofInitrd(r *initrd.Report) []string {
	var lines []string
	for _, l := range []struct {
		what  string
		names []string
	}{
		{"tools that the image lacks", r.MissingTools},
		{"kernel modules that were asked for and cannot be had", r.MissingModules},
		{"firmware that packed drivers name and the image lacks", r.MissingFirmware},
		{"drivers and file systems that are not in the initrd (--kernmodules takes them by name)", r.LeftModules},
		{"other kernel modules that are not in the initrd", r.LeftParts},
	} {
		if len(l.names) > 0 {
			lines = append(lines, l.what+": "+strings.Join(l.names, " "))
		}
	}
	if !r.Udev {
		lines = append(lines, "the image has no udev: the agent loads the drivers")
	}
	if !r.Tried {
		lines = append(lines, "the image is for another processor: its tools were not tried")
	}
	return lines
}

// ofPayload tells what of the image will be public, and what nodes do about SELinux.
func ofPayload(ctx context.Context, t tree.Tree) ([]string, error) {
	found, err := scan.Tree(ctx, t.String())
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, f := range found {
		lines = append(lines, "the payload is public, and it has a "+f.String())
	}
	policy, err := sepolicy.Read(system{t})
	if err != nil || !policy.On() {
		return lines, err
	}
	line := fmt.Sprintf("SELinux is %s: nodes label their files before the system starts", policy)
	if missing := slices.DeleteFunc(slices.Clone(sepolicy.Programs), func(name string) bool { return has(t, name) }); len(missing) > 0 {
		line += ", which needs what the image lacks: " + strings.Join(missing, " ") + " (install policycoreutils)"
	}
	return append(lines, line), nil
}

func has(t tree.Tree, program string) bool {
	return slices.ContainsFunc(sepolicy.Places, func(dir string) bool { return t.IsFile(path.Join(dir, program)) })
}

// system reads an image as a sepolicy.Tree.
type system struct{ tree.Tree }

// Read returns the content of a file, nothing when it is not there.
func (s system) Read(name string) ([]byte, error) {
	if !s.IsFile(name) {
		return nil, nil
	}
	return s.ReadFile(name)
}

// List returns the names in a directory, none when it is not there.
func (s system) List(dir string) ([]string, error) {
	entries, err := s.ReadDir(dir)
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}
