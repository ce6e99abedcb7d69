package module

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Choice is what an initrd gets of a Set.
type Choice struct {
	// Paths of the modules with all they depend on, sorted.
	Paths []string
	// Asked names the modules that were asked for and are there, in the order of asking.
	Asked []string
	// Missing names modules that were asked for and cannot be had: neither there nor built into the kernel, or in need of
	// one that is not wanted.
	Missing []string
	// Left are the paths of the modules that nobody asked for or against, and that do not belong into an initrd, sorted.
	Left []string
}

// Choose returns the drivers that a machine can need until its system runs, and the modules in ask by name. A name with
// "-" before it is left out, with what cannot do without it. Has tells whether the image has a program: file systems
// that nobody can mount without one are left out where it is missing.
func (s *Set) Choose(ask []string, has func(program string) bool) (Choice, error) {
	c := chooser{Set: s, has: has, without: make(map[string]bool), chosen: make(map[string]bool)}
	names := c.read(ask)
	for _, file := range slices.Sorted(maps.Keys(s.deps)) {
		ok, err := c.wants(file)
		if err != nil {
			return Choice{}, err
		}
		if ok {
			c.add(file)
		}
	}
	var choice Choice
	for _, name := range names {
		file, ok := s.path[name]
		if ok {
			c.add(file)
		}
		switch {
		case c.chosen[file]:
			choice.Asked = append(choice.Asked, name)
		case !s.builtin[name]:
			choice.Missing = append(choice.Missing, name)
		}
	}
	for _, file := range slices.Sorted(maps.Keys(s.deps)) {
		switch {
		case c.chosen[file]:
			choice.Paths = append(choice.Paths, file)
		case !c.barred(file):
			choice.Left = append(choice.Left, file)
		}
	}
	return choice, nil
}

// Asks tells whether a module was asked for, and is there.
func (c Choice) Asks(name string) bool { return slices.Contains(c.Asked, canonical(name)) }

// Builtin tells whether the kernel has a module in itself.
func (s *Set) Builtin(name string) bool { return s.builtin[canonical(name)] }

type chooser struct {
	*Set
	has     func(program string) bool
	without map[string]bool
	chosen  map[string]bool
}

// read notes which modules are not wanted, and returns the names of those that are asked for.
func (c chooser) read(ask []string) (names []string) {
	for _, name := range ask {
		if rest, ok := strings.CutPrefix(name, "-"); ok {
			c.without[canonical(rest)] = true
		} else if name = canonical(name); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return c.without[name] })
}

// barred tells whether the module, or one that it depends on, is not wanted. The index lists all dependencies, also
// those of dependencies.
func (c chooser) barred(file string) bool {
	return c.without[Name(file)] || slices.ContainsFunc(c.deps[file], func(need string) bool { return c.without[Name(need)] })
}

// add chooses the module, what it depends on, and what its softdeps name.
func (c chooser) add(file string) {
	if c.chosen[file] || c.barred(file) {
		return
	}
	c.chosen[file] = true
	for _, need := range c.deps[file] {
		c.add(need)
	}
	for _, name := range c.soft[Name(file)] {
		if need, ok := c.path[name]; ok {
			c.add(need)
		}
	}
}

// wants tells whether the module belongs into every initrd. A module that the kernel's own tree does not place is
// judged by what it uses.
func (c chooser) wants(file string) (bool, error) {
	place, ok := strings.CutPrefix(file, "kernel/")
	if !ok {
		if place, ok = placeOf(file); !ok {
			data, err := c.Load(file)
			if err != nil {
				return false, err
			}
			return drives(data)
		}
	}
	return belongs(place) && c.used(path.Dir(place)), nil
}

// used tells whether the image has a program for the directory, where that matters.
func (c chooser) used(dir string) bool {
	for ; dir != "."; dir = path.Dir(dir) {
		if programs, ok := companions[dir]; ok {
			return slices.ContainsFunc(programs, c.has)
		}
	}
	return true
}

// placeOf finds the kernel's directories in the path of a module built apart, as in
// extra/mlnx-ofa_kernel/drivers/net/ethernet/mellanox/mlx5/core/mlx5_core.ko.
func placeOf(file string) (string, bool) {
	for _, top := range []string{"drivers/", "fs/", "net/", "crypto/"} {
		if i := strings.Index("/"+file, "/"+top); i >= 0 {
			return file[i:], true
		}
	}
	return "", false
}

// belongs matches the module's place in the kernel's tree with the longest entry of places.
func belongs(file string) bool {
	dir, name := path.Dir(file), Name(file)
	if slices.Contains(never, name) {
		return false
	}
	if only, ok := single[dir]; ok {
		return slices.Contains(only, name)
	}
	for ; dir != "."; dir = path.Dir(dir) {
		if in, ok := places[dir]; ok {
			return in
		}
	}
	arch := strings.Split(file, "/")
	return len(arch) > 3 && arch[0] == "arch" && arch[2] == "crypto" && slices.Contains(ciphers, name)
}

// drives tells by the kernel functions that a module uses whether it is a driver of a network card, a disk controller
// or a fabric, and no wireless or graphics driver.
func drives(data []byte) (bool, error) {
	uses, err := imports(data)
	if err != nil {
		return false, fmt.Errorf("read module: %w", err)
	}
	driver := false
	for _, u := range uses {
		for _, prefix := range []string{"wiphy_", "ieee80211_", "cfg80211_", "drm_", "snd_"} {
			if strings.HasPrefix(u, prefix) {
				return false, nil
			}
		}
		driver = driver || slices.Contains(driverCalls, u)
	}
	return driver, nil
}

var driverCalls = []string{
	"alloc_etherdev_mqs", "alloc_netdev_mqs", "register_netdev", "register_netdevice",
	"scsi_add_host_with_dma", "sas_register_ha", "ata_host_activate", "nvme_init_ctrl", "fc_remote_port_add",
	"blk_mq_alloc_tag_set", "__blk_mq_alloc_disk", "__blk_alloc_disk", "register_blkdev", "__register_blkdev",
	"ib_register_device", "ipmi_add_smi", "register_filesystem",
}
