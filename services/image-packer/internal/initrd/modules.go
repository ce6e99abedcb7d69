package initrd

import (
	"context"
	"fmt"
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
	b.report.Modules, b.report.MissingModules = len(choice.Paths), choice.Missing
	depmod := slices.IndexFunc(b.programs, func(p string) bool { return path.Base(p) == "depmod" })
	index := depmod >= 0 && b.native()
	firmware := make(map[string]bool)
	for _, file := range choice.Paths {
		if err := ctx.Err(); err != nil {
			return err
		}
		data, err := set.Load(file)
		if err != nil {
			return err
		}
		names, err := module.Firmware(data)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		for _, n := range names {
			firmware[n] = true
		}
		// Unpacked they are smaller in the archive, but only depmod can give them their new names.
		if index {
			err = b.Write(path.Join(set.Dir, module.Plain(file)), data, 0o644)
		} else {
			err = b.Add(path.Join(set.Dir, file))
		}
		if err != nil {
			return err
		}
	}
	if err := b.indexes(ctx, set, index, depmod); err != nil {
		return err
	}
	return b.firmware(firmware)
}

// indexes takes the files that describe the modules, and makes those anew that name files.
func (b *builder) indexes(ctx context.Context, set *module.Set, anew bool, depmod int) error {
	names, err := b.image.Glob(set.Dir, "modules.*")
	if err != nil {
		return err
	}
	for _, name := range names {
		if anew && !strings.Contains(name, "modules.builtin") && path.Base(name) != "modules.order" {
			continue
		}
		if err := b.Add(name); err != nil {
			return err
		}
	}
	if !anew {
		return nil
	}
	if out, err := chroot(ctx, b.Root, nil, "/"+b.programs[depmod], b.version); err != nil {
		return fmt.Errorf("depmod %s: %w\n%s", b.version, err, out)
	}
	return nil
}

// firmware takes the files of these names. A name can be a pattern; a file can be packed.
func (b *builder) firmware(names map[string]bool) error {
	for name := range names {
		found, err := b.oneFirmware(name)
		if err != nil {
			return fmt.Errorf("firmware %s: %w", name, err)
		}
		if found {
			b.report.Firmware = append(b.report.Firmware, name)
		} else {
			b.report.MissingFirmware = append(b.report.MissingFirmware, name)
		}
	}
	slices.Sort(b.report.Firmware)
	slices.Sort(b.report.MissingFirmware)
	return nil
}

func (b *builder) oneFirmware(name string) (bool, error) {
	// The order in which the kernel looks.
	for _, dir := range []string{"updates/" + b.version, "updates", b.version, ""} {
		for _, suffix := range []string{"", ".zst", ".xz"} {
			p := path.Join("lib/firmware", dir, name+suffix)
			files := []string{p}
			if strings.ContainsAny(name, "*?[") {
				var err error
				if files, err = b.image.Glob(path.Dir(p), path.Base(p)); err != nil {
					return false, err
				}
			}
			files = slices.DeleteFunc(files, func(f string) bool { return !b.image.IsFile(f) })
			for _, f := range files {
				if err := b.Add(f); err != nil {
					return false, err
				}
			}
			if len(files) > 0 {
				return true, nil
			}
		}
	}
	return false, nil
}
