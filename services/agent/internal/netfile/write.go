package netfile

import (
	"fmt"
	"io/fs"
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
// NameOf returns the name that the card with a MAC has under udev, which the
// installed system uses too. Written twice, nothing changes.
func (n Network) Write(tree Tree, nameOf func(mac string) (string, error)) (Result, error) {
	m, enabled, err := detect(tree)
	if err != nil {
		return Result{Enabled: enabled}, err
	}
	j := &job{Network: n, tree: tree, nameOf: nameOf, result: Result{Manager: m.name, Enabled: enabled}}
	j.Interfaces = nil
	for _, i := range n.Interfaces {
		i, err := i.translate(m.name)
		if err != nil {
			return j.result, err
		}
		j.Interfaces = append(j.Interfaces, i)
	}
	if err := m.write(j); err != nil {
		return j.result, fmt.Errorf("configure %s: %w", m.name, err)
	}
	if err := j.resolver(m.name); err != nil {
		return j.result, fmt.Errorf("configure name servers: %w", err)
	}
	return j.result, nil
}

// job is one writing of a network.
type job struct {
	Network
	tree   Tree
	nameOf func(mac string) (string, error)
	result Result
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

// prune removes files of an earlier writing that this one has not.
func (j *job) prune(dir string, ours func(name string) bool, keep map[string]bool) error {
	names, err := j.tree.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if ours(name) && !keep[name] {
			if err := j.remove(dir + "/" + name); err != nil {
				return err
			}
		}
	}
	return nil
}

// name returns the interface's name in the installed system.
func (j *job) name(i Interface) (string, error) {
	if i.MAC == "" {
		return i.Name, nil
	}
	name, err := j.nameOf(i.MAC)
	if err != nil {
		return "", fmt.Errorf("interface %s: %w", i.Name, err)
	}
	return name, nil
}
