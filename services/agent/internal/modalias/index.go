// Package modalias loads the kernel modules of the devices that the machine has, for an initrd without udev.
package modalias

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// Index is what depmod and modprobe.d say about a kernel's modules. Names have
// underscores for hyphens, as in the kernel.
type Index struct {
	aliases []alias
	soft    map[string]softdep
	denied  map[string]bool
	options map[string]string
}

type alias struct{ pattern, module string }

type softdep struct{ pre, post []string }

// Read reads the index of a kernel version from a root folder.
func Read(root fs.FS, version string) (*Index, error) {
	x := &Index{soft: map[string]softdep{}, denied: map[string]bool{}, options: map[string]string{}}
	dir := path.Join("lib/modules", version)
	for _, name := range []string{"modules.alias", "modules.softdep"} {
		err := x.readFile(root, path.Join(dir, name))
		if err != nil && (name == "modules.alias" || !errors.Is(err, fs.ErrNotExist)) {
			return nil, err
		}
	}
	for _, dir := range []string{"lib/modprobe.d", "etc/modprobe.d"} {
		names, err := fs.Glob(root, dir+"/*.conf")
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if err := x.readFile(root, name); err != nil {
				return nil, err
			}
		}
	}
	return x, nil
}

func (x *Index) readFile(root fs.FS, name string) error {
	f, err := root.Open(name)
	if err != nil {
		return fmt.Errorf("read the modules' index: %w", err)
	}
	defer f.Close()
	if err := x.read(f); err != nil {
		return fmt.Errorf("read the modules' index %s: %w", name, err)
	}
	return nil
}

// read takes lines in the form of modprobe.d(5), which modules.alias has too.
func (x *Index) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		w := strings.Fields(lines.Text())
		if len(w) < 2 {
			continue
		}
		switch rest := w[2:]; w[0] {
		case "alias":
			if len(rest) == 1 {
				x.aliases = append(x.aliases, alias{plain(w[1]), canonical(rest[0])})
			}
		case "softdep":
			x.soft[canonical(w[1])] = parseSoftdep(rest)
		case "blacklist":
			x.denied[canonical(w[1])] = true
		case "options":
			m := canonical(w[1])
			x.options[m] = strings.TrimSpace(x.options[m] + " " + strings.Join(rest, " "))
		case "install":
			// The customary way to forbid a module for good.
			if len(rest) > 0 && (path.Base(rest[0]) == "false" || path.Base(rest[0]) == "true") {
				x.denied[canonical(w[1])] = true
			}
		}
	}
	return lines.Err()
}

func parseSoftdep(words []string) softdep {
	var s softdep
	to := &s.pre
	for _, word := range words {
		switch word {
		case "pre:":
			to = &s.pre
		case "post:":
			to = &s.post
		default:
			*to = append(*to, canonical(word))
		}
	}
	return s
}

// Match returns the modules for a device's modalias, without those that
// modprobe.d forbids.
func (x *Index) Match(modalias string) []string {
	var modules []string
	modalias = plain(modalias)
	for _, a := range x.aliases {
		if !x.denied[a.module] && match(a.pattern, modalias) {
			modules = append(modules, a.module)
		}
	}
	return modules
}

// Order returns module with those that should come before and after it.
func (x *Index) Order(module string) []string {
	s := x.soft[canonical(module)]
	order := append([]string(nil), s.pre...)
	return append(append(order, canonical(module)), s.post...)
}

// Options returns the module's parameters.
func (x *Index) Options(module string) string { return x.options[module] }

func canonical(name string) string { return strings.ReplaceAll(name, "-", "_") }

// match is fnmatch(3) without flags, of a plain pattern and name. Patterns that
// are malformed match nothing.
func match(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// plain puts another letter for slashes, at which path.Match would stop a star.
func plain(s string) string { return strings.ReplaceAll(s, "/", "\x01") }
