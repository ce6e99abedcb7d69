// Package roster finds the controllers of the nodes that a command names.
package roster

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/hostlist"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/secret"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	powerv1 "github.com/luna-hpc/luna/proto/power/v1"
	"github.com/luna-hpc/luna/services/power/internal/controller"
)

// Most is how many nodes a command may name: the results of more would not fit
// into a message of the bus.
const Most = 5000

// Entry is one node and its controller, or why it has none.
type Entry struct {
	Node       string
	Controller controller.Controller
	Err        error
}

// Find returns the nodes that a request names, sorted. What is wrong with one
// of them is the error of its entry; what is wrong with the request is the error.
func Find(tx *projection.Tx, key secret.Key, req *powerv1.PowerRequest) ([]Entry, error) {
	f := finder{tx: tx, key: key, view: catalog.Of(tx), passwords: map[string]controller.Password{}}
	entries, err := f.named(req)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b Entry) int { return hostlist.Compare(a.Node, b.Node) })
	return entries, nil
}

type finder struct {
	tx   *projection.Tx
	key  secret.Key
	view catalog.View
	// passwords by secret id, as many nodes have the same one.
	passwords map[string]controller.Password
}

func (f finder) named(req *powerv1.PowerRequest) ([]Entry, error) {
	ways := 0
	for _, given := range []bool{len(req.Nodes) > 0, req.Group != "", req.All} {
		if given {
			ways++
		}
	}
	switch {
	case ways == 0:
		return nil, fault.Invalidf("which nodes? name them, as in node[001-003], or a group, or say all")
	case ways > 1:
		return nil, fault.Invalidf("nodes, a group and all are three ways to say which nodes: use one of them")
	case len(req.Nodes) > 0:
		return f.list(req.Nodes)
	case req.Group != "":
		return f.group(req.Group)
	}
	return f.those("the cluster", func(*inventoryv1.Node) bool { return true })
}

func (f finder) list(lists []string) ([]Entry, error) {
	names, err := hostlist.Expand(Most, lists...)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(names))
	for _, name := range names {
		n, err := f.view.NodeNamed(name)
		if err != nil {
			return nil, err
		}
		if n == nil {
			entries = append(entries, Entry{Node: name, Err: fault.NotFoundf("there is no such node")})
			continue
		}
		entries = append(entries, f.entry(n))
	}
	return entries, nil
}

func (f finder) group(name string) ([]Entry, error) {
	o, err := f.view.Find(catalog.Group, name)
	if err != nil {
		return nil, err
	}
	g := o.GetGroup()
	if g == nil {
		return nil, fault.NotFoundf("there is no group %q", name)
	}
	return f.those("group "+name, func(n *inventoryv1.Node) bool { return n.GroupId == g.Id })
}

// those returns the nodes of which is is true.
func (f finder) those(what string, is func(*inventoryv1.Node) bool) ([]Entry, error) {
	var nodes []*inventoryv1.Node
	err := f.view.Nodes(func(n *inventoryv1.Node) bool {
		if is(n) {
			nodes = append(nodes, n)
		}
		return true
	})
	switch {
	case err != nil:
		return nil, err
	case len(nodes) == 0:
		return nil, fault.NotFoundf("%s has no nodes", what)
	case len(nodes) > Most:
		return nil, fault.Invalidf("%s has %d nodes: the limit is %d at a time; name them in parts", what, len(nodes), Most)
	}
	entries := make([]Entry, 0, len(nodes))
	for _, n := range nodes {
		entries = append(entries, f.entry(n))
	}
	return entries, nil
}

func (f finder) entry(n *inventoryv1.Node) Entry {
	c, err := f.controller(n)
	return Entry{Node: n.Name, Controller: c, Err: err}
}

func (f finder) controller(n *inventoryv1.Node) (c controller.Controller, err error) {
	g, err := f.view.Group(n.GroupId)
	if err != nil {
		return c, err
	}
	b, err := f.view.Bmcsetup(g.GetBmcsetupId())
	if err != nil {
		return c, err
	}
	if c.Address, err = address(n, g); err != nil {
		return c, err
	}
	if b == nil {
		return c, fault.Conflictf("not done: group %s has no BMC set-up: luna bmcsetup add NAME --user USER --password PASSWORD; luna group change %s -b NAME", g.GetName(), g.GetName())
	}
	c.User, c.Protocol, c.Setup = b.User, b.Protocol, b.Name
	c.Password, err = f.password(b)
	return c, err
}

// address is that of the node's BMC.
func address(n *inventoryv1.Node, g *inventoryv1.Group) (netip.Addr, error) {
	for _, a := range n.Addresses {
		if addr, err := netip.ParseAddr(a.Address); a.Interface == catalog.BMC && err == nil {
			return addr, nil
		}
	}
	return netip.Addr{}, fault.Conflictf("not done: it has no BMC address: luna group change %s -i BMC -A --setnet NET", g.GetName())
}

func (f finder) password(b *inventoryv1.Bmcsetup) (controller.Password, error) {
	if p, ok := f.passwords[b.PasswordId]; ok {
		return p, nil
	}
	if b.PasswordId == "" {
		return "", fault.Conflictf("not done: BMC set-up %s has no password: luna bmcsetup change %s --password PASSWORD", b.Name, b.Name)
	}
	data, err := secret.Read(f.tx, f.key, b.PasswordId)
	switch {
	case errors.Is(err, secret.ErrSealed):
		return "", fault.Unavailablef("not done: the password of BMC set-up %s cannot be opened with this head's secret.key: every head needs the same one", b.Name)
	case err != nil:
		return "", fmt.Errorf("not done: the password of BMC set-up %s: %w", b.Name, err)
	}
	f.passwords[b.PasswordId] = controller.Password(data)
	return controller.Password(data), nil
}
