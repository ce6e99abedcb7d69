package netfile

import (
	"fmt"
	"strconv"
	"strings"
)

// passed are options whose meaning the written files have anyway.
var passed = map[string][]string{
	"ONBOOT": {"yes"}, "BOOTPROTO": {"none", "static"}, "NM_CONTROLLED": {"yes", "no"}, "TYPE": {"Ethernet"},
	"USERCTL": {"no"}, "PEERDNS": {"no"}, "IPV6INIT": {"yes", "no"}, "DEFROUTE": {"yes"},
}

// translate takes the operator's free options into the interface. What it
// cannot express in the image's form it refuses by name.
func (i Interface) translate(manager string) (Interface, error) {
	for line := range strings.Lines(i.Options) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return i, fmt.Errorf("interface %s: option %q is not of the form KEY=VALUE", i.Name, line)
		}
		if err := i.option(strings.ToUpper(key), strings.Trim(value, `"'`), manager); err != nil {
			return i, fmt.Errorf("interface %s: %w", i.Name, err)
		}
	}
	return i, nil
}

func (i *Interface) option(key, value, manager string) error {
	if key == "MTU" {
		mtu, err := strconv.Atoi(value)
		if err != nil || mtu < 68 || mtu > 65536 {
			return fmt.Errorf("option MTU=%s is no MTU", value)
		}
		i.MTU = mtu
		return nil
	}
	for _, known := range passed[key] {
		if strings.EqualFold(value, known) {
			return nil
		}
	}
	return fmt.Errorf("option %s=%s cannot be written for %s", key, value, manager)
}
