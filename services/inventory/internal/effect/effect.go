// Package effect tells what a change would make DHCP, DNS and boot scripts answer differently.
package effect

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/luna-hpc/luna/pkg/catalog"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
)

// most is how many effects are told.
const most = 200

// effects returns what a draft would change for nodes, by node and service.
func effects(d *change.Draft, then catalog.View) ([]*inventoryv1.Effect, error) {
	ids, err := touched(d)
	if err != nil {
		return nil, err
	}
	var all []*inventoryv1.Effect
	for _, id := range ids {
		old, err := answers(d.View, id)
		if err != nil {
			return nil, err
		}
		now, err := answers(then, id)
		if err != nil {
			return nil, err
		}
		for _, e := range differences(old, now) {
			if len(all) == most {
				return all, nil
			}
			all = append(all, e)
		}
	}
	return all, nil
}

// touched returns the ids of the nodes that a change may be seen at, the
// node's own first: others follow when something that nodes share is changed.
func touched(d *change.Draft) ([]string, error) {
	var ids []string
	mine := map[string]bool{}
	shared := false
	for _, w := range d.Touched() {
		switch w.Noun {
		case string(catalog.Node):
			ids, mine[w.Id] = append(ids, w.Id), true
		case string(catalog.Rest), string(catalog.Switch), string(catalog.Otherdev):
		default:
			shared = true
		}
	}
	if !shared {
		return ids, nil
	}
	err := d.EachName(catalog.Node, "", func(_, id string) bool {
		if !mine[id] {
			ids = append(ids, id)
		}
		return true
	})
	return ids, err
}

// said is what one service answers for one node.
type said struct{ service, text string }

// joined is a node with what it refers to.
type joined struct {
	catalog.Joined
	// networks are those of the node's addresses, in their order; nil when one is gone.
	networks []*inventoryv1.Network
}

func join(v catalog.View, n *inventoryv1.Node) (j joined, err error) {
	if j.Joined, err = v.Join(n); err != nil {
		return j, err
	}
	for _, a := range n.GetAddresses() {
		network, err := v.Network(a.NetworkId)
		if err != nil {
			return j, err
		}
		j.networks = append(j.networks, network)
	}
	return j, nil
}

// answers returns a node's name and what the services say of it.
func answers(v catalog.View, id string) (map[said]string, error) {
	n, err := v.Node(id)
	if err != nil || n == nil {
		return nil, err
	}
	j, err := join(v, n)
	if err != nil {
		return nil, err
	}
	all := map[said]string{}
	for service, text := range map[string]string{"dhcp": j.dhcp(), "dns": j.dns(), "boot": j.boot(), "install": j.install()} {
		if text != "" {
			all[said{service, text}] = j.Node.Name
		}
	}
	return all, nil
}

// differences lists the services whose answers are not the same, in the order
// of their names.
func differences(old, now map[said]string) []*inventoryv1.Effect {
	by := map[string]*inventoryv1.Effect{}
	entry := func(node, service string) *inventoryv1.Effect {
		if by[service] == nil {
			by[service] = &inventoryv1.Effect{Service: service}
		}
		by[service].Node = node
		return by[service]
	}
	for s, node := range old {
		if _, same := now[s]; !same {
			entry(node, s.service).Before = s.text
		}
	}
	for s, node := range now {
		if _, same := old[s]; !same {
			entry(node, s.service).After = s.text
		}
	}
	var all []*inventoryv1.Effect
	for _, e := range by {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *inventoryv1.Effect) int { return strings.Compare(a.Service, b.Service) })
	return all
}

// dhcp is what a machine with the node's MAC is given.
func (j joined) dhcp() string {
	for i, a := range j.Node.Addresses {
		n := j.networks[i]
		addr, err := netip.ParseAddr(a.Address)
		if a.Interface != catalog.BootIf || err != nil || !addr.Is4() || n == nil || j.Node.Mac == "" {
			continue
		}
		parts := []string{j.Node.Mac, "gets", a.Address, j.FQDN()}
		for _, o := range []struct{ name, value string }{{"gateway", n.Gateway}, {"dns", strings.Join(n.Nameservers, ",")}, {"ntp", strings.Join(n.Ntp, ",")}, {"mtu", number(n.Mtu)}} {
			if o.value != "" {
				parts = append(parts, o.name+" "+o.value)
			}
		}
		return strings.Join(parts, " ")
	}
	return ""
}

// dns is the node's names with their addresses.
func (j joined) dns() string {
	var all []string
	for i, a := range j.Node.Addresses {
		switch n := j.networks[i]; {
		case n == nil:
		case a.Interface == catalog.BootIf:
			all = append(all, j.FQDN()+" "+a.Address)
		default:
			all = append(all, fmt.Sprintf("%s.%s %s", catalog.CardName(j.Node.Name, a.Interface), n.Name, a.Address))
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// boot is what the node's boot script says.
func (j joined) boot() string {
	switch {
	case j.Node.Localboot:
		return "its own disk"
	case j.Osimage == nil:
		return "nothing: there is no osimage"
	}
	text := "osimage " + j.Osimage.Name
	if j.Node.Service {
		text += ", service mode"
	}
	if opts := j.Kernopts(); opts != "" {
		text += ", " + opts
	}
	return text
}

// install is what the install script holds beside the image: scripts stand as
// the beginning of their digest.
func (j joined) install() string {
	if j.Node.Localboot || j.Osimage == nil {
		return ""
	}
	var parts []string
	if root := j.Group.GetRoot(); root != "" {
		parts = append(parts, "root "+root)
	}
	for _, s := range []struct{ name, text string }{{"prescript", j.Prescript()}, {"partscript", j.Partscript()}, {"postscript", j.Postscript()}} {
		if s.text != "" && (s.name != "partscript" || j.Group.GetRoot() != inventoryv1.RootOverlay) {
			parts = append(parts, fmt.Sprintf("%s %.8x", s.name, sha256.Sum256([]byte(s.text))))
		}
	}
	if j.Node.Setupbmc && j.Bmcsetup != nil {
		parts = append(parts, fmt.Sprintf("BMC %s user %s", j.Bmcsetup.Name, j.Bmcsetup.User))
	}
	for i, a := range j.Node.Addresses {
		if n := j.networks[i]; n != nil && a.Interface != catalog.BMC {
			parts = append(parts, fmt.Sprintf("%s %s of %s", a.Interface, a.Address, n.Cidr))
		}
	}
	for _, in := range j.Group.GetInterfaces() {
		made := ""
		if in.MadeOf != nil {
			made = fmt.Sprint(in.MadeOf)
		}
		if text := strings.Join(strings.Fields(made+" "+in.Options+" "+number(in.Mtu)), " "); text != "" {
			parts = append(parts, in.Name+" "+text)
		}
	}
	return strings.Join(parts, ", ")
}

func number(n uint32) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
