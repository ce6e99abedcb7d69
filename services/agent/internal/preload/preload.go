// Package preload loads the kernel modules that the initrd names, whatever devices the machine has.
package preload

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"slices"
	"strings"
)

// dir is where modules-load.d(5) has the names in an initrd.
const dir = "etc/modules-load.d"

// Names returns the names that stand below root, in the order of the files and lines, each once.
func Names(root fs.FS) ([]string, error) {
	files, err := fs.Glob(root, dir+"/*.conf")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range files {
		data, err := fs.ReadFile(root, file)
		if err != nil {
			return nil, fmt.Errorf("read the names of modules: %w", err)
		}
		for line := range strings.Lines(string(data)) {
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' || line[0] == ';' || slices.Contains(names, line) {
				continue
			}
			names = append(names, line)
		}
	}
	return names, nil
}

// Probe loads a module with what it depends on.
type Probe func(ctx context.Context, name string) error

// Modprobe loads a module with the initrd's modprobe, which knows modprobe.d(5).
func Modprobe(ctx context.Context, name string) error {
	out, err := exec.CommandContext(ctx, "modprobe", "--", name).CombinedOutput()
	if err != nil {
		return fmt.Errorf("modprobe %s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Load loads all modules of names and returns those that could not be, each with the reason. A driver of a device that
// the machine does not have is one of them.
func Load(ctx context.Context, names []string, probe Probe) (failed []string, err error) {
	var errs []error
	for _, name := range names {
		if err := probe(ctx, name); err != nil {
			failed, errs = append(failed, name), append(errs, err)
		}
	}
	return failed, errors.Join(errs...)
}
