package netfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// planFile is one of the image's own netplan files.
type planFile struct {
	name, text string
	network    *yaml.Node
}

// disownPlans makes comments of what the image's netplan files say about the
// node's interfaces, and of what is made of these: netplan takes nothing at all
// when a definition names one that is not there.
func (j *job) disownPlans() error {
	files, err := readPlans(j.tree)
	if err != nil {
		return err
	}
	gone := disowned(files, j.links)
	for _, f := range files {
		text, err := f.without(gone)
		if err != nil {
			return fmt.Errorf("take the node's interfaces out of %s: %w", f.name, err)
		}
		if text == f.text {
			continue
		}
		if err := j.put(f.name, text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func readPlans(tree Tree) ([]planFile, error) {
	names, err := plans(tree)
	if err != nil {
		return nil, err
	}
	var files []planFile
	for _, name := range names {
		data, err := tree.Read(name)
		if err != nil {
			return nil, err
		}
		var doc yaml.Node
		if err := yaml.Unmarshal(data, &doc); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		f := planFile{name: name, text: string(data)}
		if len(doc.Content) > 0 {
			f.network = child(doc.Content[0], "network")
		}
		files = append(files, f)
	}
	return files, nil
}

// disowned names the definitions that must go.
func disowned(files []planFile, links []*link) map[string]bool {
	gone := map[string]bool{}
	for again := true; again; {
		again = false
		for _, f := range files {
			for _, section := range pairs(f.network) {
				for _, p := range pairs(section.value) {
					if !gone[p.key.Value] && (isPlanOf(p, links) || standsOn(p, gone)) {
						gone[p.key.Value], again = true, true
					}
				}
			}
		}
	}
	return gone
}

// standsOn tells whether a definition is made of one of the names.
func standsOn(p pair, names map[string]bool) bool {
	if l := child(p.value, "link"); l != nil && names[l.Value] {
		return true
	}
	parts := child(p.value, "interfaces")
	return parts != nil && slices.ContainsFunc(parts.Content, func(n *yaml.Node) bool { return names[n.Value] })
}

// errFlow is returned for a file that cannot be changed line by line.
var errFlow = errors.New("it has {…} where each interface should have lines of its own")

// without returns the file with comments of the lines that define one of the
// names, and of sections that have nothing else.
func (f planFile) without(names map[string]bool) (string, error) {
	lines := strings.SplitAfter(f.text, "\n")
	sections := pairs(f.network)
	for n, section := range sections {
		all := pairs(section.value)
		count := 0
		for m, p := range all {
			if !names[p.key.Value] {
				continue
			}
			if section.value.Style&yaml.FlowStyle != 0 || f.network.Style&yaml.FlowStyle != 0 {
				return "", errFlow
			}
			count++
			comment(lines, p.key.Line, endOf(all, m, endOf(sections, n, len(lines)+1)))
		}
		if count > 0 && count == len(all) {
			comment(lines, section.key.Line, section.key.Line+1)
		}
	}
	return strings.Join(lines, ""), nil
}
