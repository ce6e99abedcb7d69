package netfile

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// planDirs are where netplan reads its files.
var planDirs = []string{"lib/netplan", "usr/lib/netplan", netplanDir}

// plans returns the image's own netplan files in the order in which they are merged.
func plans(tree Tree) ([]string, error) {
	var files []string
	for _, dir := range planDirs {
		names, err := tree.List(dir)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			file := path.Join(dir, name)
			if strings.HasSuffix(name, ".yaml") && file != netplanFile {
				files = append(files, file)
			}
		}
	}
	slices.SortFunc(files, func(a, b string) int { return strings.Compare(path.Base(a), path.Base(b)) })
	return files, nil
}

// netplanDecides tells whether netplan's generator writes files for a manager
// that runs. Without a file of the image's own it leaves the network to
// ifupdown, where that is enabled.
func netplanDecides(tree Tree) (bool, error) {
	generators := []string{"usr/lib/systemd/system-generators/netplan", "lib/systemd/system-generators/netplan"}
	exists := func(name string) bool { return tree.Exists(name) || tree.Link(name) != "" }
	if !slices.ContainsFunc(generators, exists) || masked(tree, "etc/systemd/system-generators/netplan") {
		return false, nil
	}
	files, err := plans(tree)
	if err != nil {
		return false, err
	}
	if other, err := starts(tree, "networking.service"); err != nil || other && len(files) == 0 {
		return false, err
	}
	backend, err := netplanBackend(tree)
	return backend != "", err
}

// netplanBackend names the manager that shall read what netplan makes: the one
// that the image's files name, if it can run, else the one that can. netplan
// starts systemd-networkd itself, unless that is masked.
func netplanBackend(tree Tree) (string, error) {
	said, err := netplanRenderer(tree)
	if err != nil {
		return "", err
	}
	nm, err := starts(tree, nmUnit)
	if err != nil {
		return "", err
	}
	enabled, err := starts(tree, "systemd-networkd.service")
	if err != nil {
		return "", err
	}
	installed := tree.Exists("usr/lib/systemd/systemd-networkd") || tree.Exists("lib/systemd/systemd-networkd")
	possible := installed && !masked(tree, "etc/systemd/system/systemd-networkd.service")
	switch {
	case nm && (said == "NetworkManager" || said == "" && !enabled || !possible):
		return nmName, nil
	case possible:
		return networkdName, nil
	}
	return "", nil
}

// netplanRenderer returns the renderer that the image's files name, the last wins.
func netplanRenderer(tree Tree) (string, error) {
	files, err := plans(tree)
	if err != nil {
		return "", err
	}
	var said string
	for _, file := range files {
		data, err := tree.Read(file)
		if err != nil {
			return "", err
		}
		var plan struct {
			Network struct{ Renderer string }
		}
		if err := yaml.Unmarshal(data, &plan); err != nil {
			return "", fmt.Errorf("%s is no YAML, so netplan would write nothing: %w", file, err)
		}
		if r := plan.Network.Renderer; r != "" {
			said = r
		}
	}
	return said, nil
}
