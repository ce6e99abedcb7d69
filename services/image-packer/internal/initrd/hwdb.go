package initrd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/luna-hpc/luna/services/image-packer/internal/stage"
)

// hwdbs are the places of the hardware database, the first one found counts (hwdb(7)).
var hwdbs = []string{"etc/systemd/hwdb/hwdb.bin", "etc/udev/hwdb.bin", "usr/lib/systemd/hwdb/hwdb.bin", "usr/lib/udev/hwdb.bin", "lib/udev/hwdb.bin"}

// catalogues are parts of the names of sources that only say what vendors call their devices, nine tenths of the
// database, or set up what no initrd has.
var catalogues = []string{"OUI", "vendor", "classes", "bluetooth", "keyboard", "mouse", "pointing", "touchpad", "trackball", "sensor",
	"autosuspend", "camera", "joystick", "seat", "evdev", "analyzers", "sdio"}

// hwdb makes a hardware database without the catalogues, so that devices get the names that they get in the installed
// system. Where that cannot be done the image's own goes in whole.
func (b *builder) hwdb(ctx context.Context) error {
	bin := slices.IndexFunc(hwdbs, b.image.IsFile)
	if bin < 0 {
		return nil
	}
	data, err := b.smallHwdb(ctx)
	if err != nil {
		return fmt.Errorf("make hwdb: %w", err)
	}
	if data == nil {
		return b.Add(hwdbs[bin])
	}
	return b.Write(hwdbs[bin], data, 0o444)
}

// smallHwdb has the image's systemd-hwdb compile the sources, in a stage of its own. It returns nil for an image that
// has no sources, or no systemd-hwdb that runs here.
func (b *builder) smallHwdb(ctx context.Context) (data []byte, err error) {
	const compiler = "usr/bin/systemd-hwdb"
	if !b.native() || !b.image.IsFile(compiler) {
		return nil, nil
	}
	dir, err := os.MkdirTemp(b.WorkDir, "hwdb-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	bench, err := stage.New(dir, b.image)
	if err != nil {
		return nil, err
	}
	if err := bench.Add(compiler); err != nil {
		return nil, err
	}
	sources := 0
	for _, place := range []string{"usr/lib/udev/hwdb.d", "lib/udev/hwdb.d", "etc/udev/hwdb.d"} {
		names, err := b.image.Glob(place, "*.hwdb")
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if isCatalogue(name) {
				continue
			}
			if err := bench.Add(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			sources++
		}
	}
	if sources == 0 {
		return nil, nil
	}
	if out, err := chroot(ctx, bench.Root, nil, "/"+compiler, "update"); err != nil {
		return nil, fmt.Errorf("systemd-hwdb: %w\n%s", err, out)
	}
	return bench.Root.ReadFile("etc/udev/hwdb.bin")
}

// isCatalogue judges only what distributions ship: what the administrator has written stays.
func isCatalogue(name string) bool {
	return !strings.HasPrefix(name, "etc/") &&
		slices.ContainsFunc(catalogues, func(part string) bool { return strings.Contains(path.Base(name), part) })
}
