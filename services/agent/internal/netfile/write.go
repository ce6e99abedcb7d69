package netfile

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// head stands on top of every file.
const head = "# Written by Luna's node agent at each boot; changes are lost.\n"

// Result is what Write did.
type Result struct {
	// Manager that reads the files, and all that are enabled in the image.
	Manager string
	Enabled []string
	// Changed are the files that had to be written or removed.
	Changed []string
}

// Write writes the network's files into an image for its network manager.
// Written twice, nothing changes.
func (n Network) Write(tree Tree, cards Cards) (Result, error) {
	m, enabled, err := detect(tree)
	if err != nil {
		return Result{Enabled: enabled}, err
	}
	j := &job{Network: n, tree: tree, manager: m, result: Result{Manager: m.name, Enabled: enabled}}
	if j.links, err = n.links(m, cards); err != nil {
		return j.result, err
	}
	for _, l := range j.links {
		if err := j.check(l); err != nil {
			return j.result, fmt.Errorf("interface %s: %w", l.Name, err)
		}
	}
	if err := m.write(j); err != nil {
		return j.result, fmt.Errorf("configure %s: %w", m.name, err)
	}
	if err := j.sweep(); err != nil {
		return j.result, fmt.Errorf("remove files of an earlier writing: %w", err)
	}
	if err := j.resolver(); err != nil {
		return j.result, fmt.Errorf("configure name servers: %w", err)
	}
	if err := j.cloudInit(); err != nil {
		return j.result, fmt.Errorf("keep cloud-init from the network: %w", err)
	}
	return j.result, nil
}

// job is one writing of a network.
type job struct {
	Network
	links   []*link
	tree    Tree
	manager manager
	// backend reads what netplan makes of its files; empty without netplan.
	backend string
	result  Result
}

func (j *job) put(name, text string, mode fs.FileMode) error {
	changed, err := j.tree.Write(name, []byte(text), mode)
	if changed {
		j.result.Changed = append(j.result.Changed, name)
	}
	return err
}

func (j *job) remove(name string) error {
	was, err := j.tree.Remove(name)
	if was {
		j.result.Changed = append(j.result.Changed, name)
	}
	return err
}

// rewrite changes a file that is there.
func (j *job) rewrite(name string, change func(string) string) error {
	old, err := j.tree.Read(name)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	text := change(string(old))
	if text == string(old) {
		return nil
	}
	return j.put(name, text, 0o644)
}

// prune removes files of an earlier writing that this one has not.
func (j *job) prune(dir string, ours func(name string) bool, keep map[string]bool) error {
	names, err := j.tree.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if ours(name) && !keep[name] {
			if err := j.remove(path.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// isOurs tells whether a file was written by Write.
func (j *job) isOurs(name string) bool {
	data, err := j.tree.Read(name)
	return err == nil && strings.HasPrefix(string(data), head)
}

// check tells whether an interface can be written, before anything is.
func (j *job) check(l *link) error {
	if l.device == "" && !(l.byMAC() && j.manager.matches) {
		return l.unnamed
	}
	if j.manager.check != nil {
		return j.manager.check(j, l)
	}
	return nil
}

// names are those of all interfaces in the installed system.
func (j *job) names() map[string]bool {
	names := map[string]bool{}
	for _, l := range j.links {
		names[l.device] = l.device != ""
	}
	return names
}

// cloudInit keeps cloud-init, where an image has it, from configuring the
// network too, as its documentation says.
func (j *job) cloudInit() error {
	if !j.tree.Exists("usr/bin/cloud-init") {
		return nil
	}
	return j.put("etc/cloud/cloud.cfg.d/99-luna-network.cfg", head+"network: {config: disabled}\n", 0o644)
}
