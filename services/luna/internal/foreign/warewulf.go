package foreign

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/luna-hpc/luna/pkg/blueprint"
	"github.com/luna-hpc/luna/pkg/fault"
)

func keys[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }

// ww is a profile or a node of Warewulf 4; fields that are not here stay in more.
type ww struct {
	Comment  string           `yaml:"comment"`
	Profiles []string         `yaml:"profiles"`
	Image    string           `yaml:"image name"`
	Old      string           `yaml:"container name"`
	Kernel   wwKernel         `yaml:"kernel"`
	Ipmi     map[string]any   `yaml:"ipmi"`
	Devices  map[string]wwNet `yaml:"network devices"`
	Primary  string           `yaml:"primary network"`
	More     map[string]any   `yaml:",inline"`
}

type wwKernel struct {
	Version string         `yaml:"version"`
	Args    any            `yaml:"args"`
	More    map[string]any `yaml:",inline"`
}

type wwNet struct {
	Device  string         `yaml:"device"`
	Hwaddr  string         `yaml:"hwaddr"`
	IP      string         `yaml:"ipaddr"`
	Netmask string         `yaml:"netmask"`
	Gateway string         `yaml:"gateway"`
	Mtu     string         `yaml:"mtu"`
	Type    string         `yaml:"type"`
	Primary any            `yaml:"primary"`
	More    map[string]any `yaml:",inline"`
}

// wwFile is nodes.conf.
type wwFile struct {
	Profiles map[string]ww  `yaml:"nodeprofiles"`
	Nodes    map[string]ww  `yaml:"nodes"`
	More     map[string]any `yaml:",inline"`
}

// warewulf makes a group of each list of profiles and image.
type warewulf struct {
	Taken
	file     wwFile
	networks networks
	groups   map[string]*blueprint.Group
	order    []string
	images   map[string]bool
}

// Warewulf reads the nodes.conf of Warewulf 4.
func Warewulf(files []File) (*Taken, error) {
	w := &warewulf{groups: map[string]*blueprint.Group{}, images: map[string]bool{}}
	if len(files) != 1 {
		return nil, fault.Invalidf("say one nodes.conf, not %d files", len(files))
	}
	if err := yaml.Load(files[0].Text, &w.file); err != nil {
		return nil, fault.Invalidf("%s: %s", files[0].Name, strings.Join(strings.Fields(err.Error()), " "))
	}
	if len(w.file.Nodes) == 0 {
		return nil, fault.Invalidf("%s has no nodes", files[0].Name)
	}
	for _, name := range slices.Sorted(keys(w.file.More)) {
		if name != "WW_INTERNAL" {
			w.leave("nodes.conf", name, "only nodeprofiles and nodes are read")
		}
	}
	for _, name := range slices.Sorted(keys(w.file.Profiles)) {
		w.others("profile "+name, w.file.Profiles[name])
	}
	for _, name := range slices.Sorted(keys(w.file.Nodes)) {
		w.others("node "+name, w.file.Nodes[name])
		w.node(name)
	}
	for _, g := range w.order {
		w.Groups = append(w.Groups, *w.groups[g])
	}
	w.Networks = w.networks.all
	return &w.Taken, nil
}

// others says which fields are not taken over.
func (w *warewulf) others(what string, x ww) {
	for _, name := range slices.Sorted(keys(x.More)) {
		w.leave(what, name, "Luna has no field for it")
	}
	for _, name := range slices.Sorted(keys(x.Kernel.More)) {
		w.leave(what, "kernel "+name, "Luna has no field for it")
	}
	for _, device := range slices.Sorted(keys(x.Devices)) {
		d := x.Devices[device]
		for _, name := range slices.Sorted(keys(d.More)) {
			w.leave(what, "network devices "+device+" "+name, "Luna has no field for it")
		}
	}
	for _, name := range slices.Sorted(keys(x.Ipmi)) {
		if !slices.Contains([]string{"ipaddr", "netmask", "gateway", "username", "password", "write"}, name) {
			w.leave(what, "ipmi "+name, "Luna has no field for it")
		}
	}
}

// inherit returns a node with what its profiles say: the last one counts, then the node itself.
func (w *warewulf) inherit(name string) ww {
	n := w.file.Nodes[name]
	all := ww{Devices: map[string]wwNet{}, Ipmi: map[string]any{}}
	for _, p := range n.Profiles {
		profile, ok := w.file.Profiles[p]
		if !ok {
			w.leave("node "+name, "profile "+p, "there is no such profile")
			continue
		}
		all.over(profile)
		all.Profiles = append(all.Profiles, p)
	}
	all.over(n)
	all.Comment = n.Comment
	return all
}

func or(to *string, from string) {
	if from != "" {
		*to = from
	}
}

// over sets what another one says.
func (x *ww) over(y ww) {
	or(&x.Image, y.Old)
	or(&x.Image, y.Image)
	or(&x.Primary, y.Primary)
	or(&x.Kernel.Version, y.Kernel.Version)
	if y.Kernel.Args != nil {
		x.Kernel.Args = y.Kernel.Args
	}
	maps.Copy(x.Ipmi, y.Ipmi)
	for name, d := range y.Devices {
		to := x.Devices[name]
		for _, f := range []struct {
			to   *string
			from string
		}{{&to.Device, d.Device}, {&to.Hwaddr, d.Hwaddr}, {&to.IP, d.IP}, {&to.Netmask, d.Netmask}, {&to.Gateway, d.Gateway}, {&to.Mtu, d.Mtu}, {&to.Type, d.Type}} {
			or(f.to, f.from)
		}
		if d.Primary != nil {
			to.Primary = d.Primary
		}
		x.Devices[name] = to
	}
}
