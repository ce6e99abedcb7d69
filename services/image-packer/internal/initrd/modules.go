package initrd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/luna-hpc/luna/services/image-packer/internal/module"
)

// modules takes the drivers and the firmware that they name, and has depmod index what is there.
func (b *builder) modules(ctx context.Context) error {
	set, err := module.Read(b.image, b.version)
	if err != nil {
		return err
	}
	choice, err := set.Choose(b.KernelModules, func(name string) bool { return slices.Contains(b.report.Tools, name) })
	if err != nil {
		return err
	}
	b.report.Modules, b.report.LoadedModules, b.report.MissingModules = len(choice.Paths), choice.Asked, choice.Missing
	b.report.LeftModules, b.report.LeftParts = choice.Describe()
	if err := b.loaded(choice.Asked); err != nil {
		return err
	}
	depmod := b.path("depmod")
	if !b.native() {
		depmod = ""
	}
	firmware, err := b.drivers(ctx, set, choice.Paths, depmod != "")
	if err != nil {
		return err
	}
	if err := b.indexes(ctx, set, depmod); err != nil {
		return err
	}
	return b.firmware(firmware)
}

// drivers takes modules and returns the names of the firmware that they may load. Unpacked they are smaller in the
// archive and every kmod can read them, but only depmod can give them their new names.
func (b *builder) drivers(ctx context.Context, set *module.Set, paths []string, unpack bool) (map[string]bool, error) {
	firmware := make(map[string]bool)
	for _, file := range paths {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		data, err := set.Load(file)
		if err != nil {
			return nil, err
		}
		names, err := module.Firmware(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, n := range names {
			firmware[n] = true
		}
		if unpack {
			err = b.Write(path.Join(set.Dir, module.Plain(file)), data, 0o644)
		} else {
			err = b.Add(path.Join(set.Dir, file))
		}
		if err != nil {
			return nil, err
		}
	}
	return firmware, nil
}

// loaded lists the modules that the agent loads whatever devices there are (modules-load.d(5)).
func (b *builder) loaded(names []string) error {
	if len(names) == 0 {
		return nil
	}
	return b.Write("etc/modules-load.d/luna.conf", []byte(strings.Join(names, "\n")+"\n"), 0o644)
}

// indexes takes the files that describe the modules, and has depmod, where there is one, make those anew that name files.
func (b *builder) indexes(ctx context.Context, set *module.Set, depmod string) error {
	names, err := b.image.Glob(set.Dir, "modules.*")
	if err != nil {
		return err
	}
	for _, name := range names {
		if depmod != "" && !strings.Contains(name, "modules.builtin") && path.Base(name) != "modules.order" {
			continue
		}
		if err := b.Add(name); err != nil {
			return err
		}
	}
	if depmod == "" {
		return nil
	}
	if out, err := chroot(ctx, b.Root, nil, "/"+depmod, b.version); err != nil {
		return fmt.Errorf("depmod %s: %w\n%s", b.version, err, out)
	}
	// Nothing asks for a module by the name of a function that it has.
	for _, name := range []string{"modules.symbols", "modules.symbols.bin"} {
		if err := b.Remove(path.Join(set.Dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
