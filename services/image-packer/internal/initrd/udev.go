package initrd

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
)

var (
	udevDaemons = []string{"usr/lib/systemd/systemd-udevd", "lib/systemd/systemd-udevd"}
	udevDirs    = []string{"usr/lib/udev", "lib/udev"}
	// udevHelpers are started by rules to name disks.
	udevHelpers = []string{"ata_id", "cdrom_id", "scsi_id", "mtd_probe", "path_id"}
	// withoutRules are parts of the names of rules for what an initrd does not have: sound, screens, seats, services.
	withoutRules = []string{"alsa", "sound", "v4l", "camera", "drm", "joystick", "mouse", "touchpad", "sensor", "fido", "seat", "uaccess",
		"power-switch", "hwclock", "ifupdown", "net-dhcp", "e2scrub", "autosuspend", "printers", "snap", "99-systemd"}
	udevConfigs = []string{"etc/udev/udev.conf"}
	patterns    = []struct{ dir, glob string }{
		{"usr/lib/modprobe.d", "*.conf"}, {"lib/modprobe.d", "*.conf"}, {"etc/modprobe.d", "*.conf"},
		{"usr/lib/depmod.d", "*.conf"}, {"lib/depmod.d", "*.conf"}, {"etc/depmod.d", "*.conf"},
		{"usr/lib/systemd/network", "*.link"}, {"lib/systemd/network", "*.link"}, {"etc/systemd/network", "*.link"},
	}
)

// udev takes the image's udev: its rules name disks and network cards as the installed system will.
func (b *builder) udev(ctx context.Context) error {
	for _, p := range patterns {
		if err := b.glob(p.dir, p.glob, nil); err != nil {
			return err
		}
	}
	daemon := slices.IndexFunc(udevDaemons, b.image.IsFile)
	if daemon < 0 {
		b.report.MissingTools = append(b.report.MissingTools, "systemd-udevd")
		return nil
	}
	found, err := b.tool("udevadm", toolDirs)
	if err != nil {
		return err
	}
	if !found {
		b.report.MissingTools = append(b.report.MissingTools, "udevadm")
		return nil
	}
	if err := b.Add(udevDaemons[daemon]); err != nil {
		return err
	}
	b.programs = append(b.programs, udevDaemons[daemon])
	for _, name := range udevHelpers {
		if _, err := b.tool(name, udevDirs); err != nil {
			return err
		}
	}
	for _, dir := range []string{"usr/lib/udev/rules.d", "lib/udev/rules.d", "etc/udev/rules.d"} {
		if err := b.glob(dir, "*.rules", withoutRules); err != nil {
			return err
		}
	}
	b.report.Udev = true
	b.report.Tools = append(b.report.Tools, "udevadm", "systemd-udevd")
	slices.Sort(b.report.Tools)
	if err := b.optional(udevConfigs...); err != nil {
		return err
	}
	return b.hwdb(ctx)
}

// glob takes the files in dir that match pattern and have nothing of without in their name. A link to nowhere, as
// administrators make to switch a file off, stays one.
func (b *builder) glob(dir, pattern string, without []string) error {
	names, err := b.image.Glob(dir, pattern)
	if err != nil {
		return err
	}
	for _, name := range names {
		if slices.ContainsFunc(without, func(part string) bool { return strings.Contains(path.Base(name), part) }) {
			continue
		}
		info, err := b.image.Stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			err = b.Symlink("/dev/null", name)
		case err == nil && info.Mode().IsRegular():
			err = b.Add(name)
		case err == nil: // a device: the file is switched off
			err = b.Symlink("/dev/null", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
