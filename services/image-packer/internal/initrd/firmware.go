package initrd

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// firmware takes the files of these names, and notes which there are.
func (b *builder) firmware(names map[string]bool) error {
	for name := range names {
		files, err := b.firmwareFiles(name)
		if err != nil {
			return fmt.Errorf("firmware %s: %w", name, err)
		}
		for _, f := range files {
			if err := b.Add(f); err != nil {
				return fmt.Errorf("firmware %s: %w", name, err)
			}
		}
		if len(files) > 0 {
			b.report.Firmware = append(b.report.Firmware, name)
		} else {
			b.report.MissingFirmware = append(b.report.MissingFirmware, name)
		}
	}
	slices.Sort(b.report.Firmware)
	slices.Sort(b.report.MissingFirmware)
	return nil
}

// firmwareFiles returns the file that the kernel loads under a name: it looks for a plain one everywhere before it
// takes a packed one. A name can be a pattern; then all that fit are returned.
func (b *builder) firmwareFiles(name string) ([]string, error) {
	pattern := strings.ContainsAny(name, "*?[")
	var all []string
	for _, suffix := range []string{"", ".zst", ".xz"} {
		for _, dir := range []string{"updates/" + b.version, "updates", b.version, ""} {
			p := path.Join("lib/firmware", dir, name+suffix)
			switch {
			case pattern:
				files, err := b.image.Glob(path.Dir(p), path.Base(p))
				if err != nil {
					return nil, err
				}
				all = append(all, slices.DeleteFunc(files, func(f string) bool { return !b.image.IsFile(f) })...)
			case b.image.IsFile(p):
				return []string{p}, nil
			}
		}
	}
	return all, nil
}
