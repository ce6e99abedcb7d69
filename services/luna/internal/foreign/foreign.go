// Package foreign makes blueprints of what other tools know of a cluster.
package foreign

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/luna-hpc/luna/pkg/blueprint"
	"github.com/luna-hpc/luna/pkg/fault"
)

// File is one file of another tool.
type File struct {
	Name string
	Text []byte
}

// Tool reads the files of one other tool.
type Tool func(files []File) (*Taken, error)

// Tools are those that can be read, by name.
var Tools = map[string]Tool{"luna1": Luna1, "warewulf": Warewulf, "xcat": Xcat}

// Names lists the tools.
func Names() []string { return slices.Sorted(maps.Keys(Tools)) }

// Taken is what was taken over, and what was not and why, a line each.
type Taken struct {
	blueprint.Blueprint
	Left []string
}

// leave says that something of an object is not taken over.
func (t *Taken) leave(what, field, why string, args ...any) {
	t.Left = append(t.Left, fmt.Sprintf("%s: %s is not taken over: %s", what, field, fmt.Sprintf(why, args...)))
}

func place(name string) blueprint.Place { return blueprint.Place{Name: name} }

// networks collects networks by their prefix; other tools often do not name them.
type networks struct {
	all []blueprint.Network
}

// holding returns the name of the network that an address lies in.
func (n *networks) holding(a netip.Addr) (name string, ok bool) {
	for _, x := range n.all {
		if p, err := netip.ParsePrefix(x.Network); err == nil && p.Contains(a) {
			return x.Name, true
		}
	}
	return "", false
}

// of returns the name of the network of an address and its prefix; a new one gets
// a name like the wanted one that is free.
func (n *networks) of(p netip.Prefix, want string) string {
	p = p.Masked()
	for _, x := range n.all {
		if x.Network == p.String() {
			return x.Name
		}
	}
	name := label(want)
	for i := 2; slices.ContainsFunc(n.all, func(x blueprint.Network) bool { return x.Name == name }); i++ {
		name = fmt.Sprintf("%s%d", label(want), i)
	}
	n.all = append(n.all, blueprint.Network{Place: place(name), Network: p.String()})
	return name
}

// find returns a network by name; nil when there is none.
func (n *networks) find(name string) *blueprint.Network {
	for i := range n.all {
		if n.all[i].Name == name {
			return &n.all[i]
		}
	}
	return nil
}

// label makes a word fit to be a part of a host name.
func label(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '.':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, s)
	if s = strings.Trim(s, "-."); s == "" {
		return "network"
	}
	return s
}

// prefix makes one of an address and a mask, as in 255.255.0.0, /16 or 16.
func prefix(address, mask string) (netip.Prefix, error) {
	if strings.Contains(address, "/") {
		return netip.ParsePrefix(address)
	}
	a, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}, fault.Invalidf("%q is no address", address)
	}
	mask = strings.TrimPrefix(mask, "/")
	m, err := netip.ParseAddr(mask)
	if err != nil || m.BitLen() != a.BitLen() {
		return netip.ParsePrefix(a.String() + "/" + mask)
	}
	bits, ended := 0, false
	for _, b := range m.AsSlice() {
		for i := 7; i >= 0; i-- {
			switch one := b>>i&1 == 1; {
			case one && ended:
				return netip.Prefix{}, fault.Invalidf("mask %s has holes", mask)
			case one:
				bits++
			default:
				ended = true
			}
		}
	}
	return netip.PrefixFrom(a, bits), nil
}

// cards collects the interfaces of groups with their networks.
func join(g *blueprint.Group, card, network string) {
	if g.Interfaces == nil {
		g.Interfaces = &[]blueprint.Interface{}
	}
	for i := range *g.Interfaces {
		x := &(*g.Interfaces)[i]
		if x.Name != card {
			continue
		}
		if network != "" && !slices.Contains(x.Networks, network) {
			x.Networks = append(x.Networks, network)
		}
		return
	}
	x := blueprint.Interface{Name: card}
	if network != "" {
		x.Networks = []string{network}
	}
	*g.Interfaces = append(*g.Interfaces, x)
}
