package netfile

import (
	"bufio"
	"bytes"
	"path"
	"slices"
	"strconv"
	"strings"
)

// readsIfcfg tells whether NetworkManager reads ifcfg files first: where its
// configuration says so, else in the RHEL family up to 8, where it was built so.
func readsIfcfg(tree Tree) (bool, error) {
	plugin, err := ifcfgPlugin(tree)
	if !plugin || err != nil {
		return false, err
	}
	said, err := nmSetting(tree, "main", "plugins")
	if err != nil {
		return false, err
	}
	for _, p := range strings.FieldsFunc(said, func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
		if p == "keyfile" || p == "ifcfg-rh" {
			return p == "ifcfg-rh", nil
		}
	}
	data, err := tree.Read("etc/os-release")
	if err != nil {
		return false, err
	}
	release := shellWords(data)
	major, _, _ := strings.Cut(release["VERSION_ID"], ".")
	n, err := strconv.Atoi(major)
	family := strings.Fields(release["ID"] + " " + release["ID_LIKE"])
	switch {
	case err != nil:
		return false, nil // A rolling release, which is younger.
	case release["ID"] == "fedora":
		return n < 33, nil
	}
	return n <= 8 && (slices.Contains(family, "rhel") || slices.Contains(family, "centos")), nil
}

func readsKeyfiles(tree Tree) (bool, error) {
	ifcfg, err := readsIfcfg(tree)
	return !ifcfg, err
}

// ifcfgPlugin tells whether NetworkManager's reader of ifcfg files is installed.
func ifcfgPlugin(tree Tree) (bool, error) {
	const plugin = "libnm-settings-plugin-ifcfg-rh.so"
	for _, dir := range []string{"usr/lib64/NetworkManager", "usr/lib/NetworkManager"} {
		versions, err := tree.List(dir)
		if err != nil {
			return false, err
		}
		for _, v := range append(versions, "") {
			if tree.Exists(path.Join(dir, v, plugin)) {
				return true, nil
			}
		}
	}
	return false, nil
}

// nmSetting returns a setting of NetworkManager.conf(5), "" when it is not said.
func nmSetting(tree Tree, section, key string) (string, error) {
	files := []string{"etc/NetworkManager/NetworkManager.conf"}
	for _, dir := range []string{"usr/lib/NetworkManager/conf.d", "etc/NetworkManager/conf.d"} {
		names, err := tree.List(dir)
		if err != nil {
			return "", err
		}
		for _, name := range names {
			if strings.HasSuffix(name, ".conf") {
				files = append(files, dir+"/"+name)
			}
		}
	}
	var said string
	for _, name := range files {
		data, err := tree.Read(name)
		if err != nil {
			return "", err
		}
		in := ""
		for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
			line := strings.TrimSpace(lines.Text())
			if strings.HasPrefix(line, "[") {
				in = strings.Trim(line, "[]")
			}
			if k, v, ok := strings.Cut(line, "="); ok && in == section && strings.TrimSpace(k) == key {
				said = strings.TrimSpace(v)
			}
		}
	}
	return said, nil
}

// shellWords reads lines KEY=VALUE.
func shellWords(data []byte) map[string]string {
	words := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && key[:min(1, len(key))] != "#" {
			words[key] = unquote(value)
		}
	}
	return words
}
