// Package node decides about nodes and their addresses.
package node

import (
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/address"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
)

// maxCount is how many nodes one command may add.
const maxCount = 10000

// Add makes one node, or count nodes with made-up names.
func Add(d *change.Draft, r *inventoryv1.NodeAddRequest) error {
	if r.Group == "" {
		return fault.Invalidf("a node needs a group: --group")
	}
	o, err := d.Named(catalog.Group, r.Group, 0)
	if err != nil {
		return err
	}
	count := max(1, r.Count)
	switch {
	case count > maxCount:
		return fault.Invalidf("count must be at most %d", maxCount)
	case r.Count > 0 && (r.Name != "" || r.Mac != "" || r.Ip != "" || r.Bmcip != "" || r.Port != ""):
		return fault.Invalidf("count does not go with a name, a MAC, an address or a port")
	}
	names, err := newNames(d, r.Name, int(count))
	if err != nil {
		return err
	}
	if len(names) > 1 && (r.Mac != "" || r.Ip != "" || r.Bmcip != "" || r.Port != "") {
		return fault.Invalidf("a MAC, an address or a port is for one node, not for %d", len(names))
	}
	set := address.NewSet(d)
	for _, name := range names {
		if err := addOne(d, set, o.GetGroup(), name, r); err != nil {
			return err
		}
	}
	return nil
}

func addOne(d *change.Draft, set *address.Set, g *inventoryv1.Group, name string, r *inventoryv1.NodeAddRequest) error {
	if err := d.NameTaken(catalog.Node, name); err != nil {
		return err
	}
	n := &inventoryv1.Node{Id: change.NewID(), Name: name, GroupId: g.Id, Mac: r.Mac, Port: r.Port,
		Localboot: r.Localboot, Setupbmc: r.Setupbmc, Service: r.Service, Comment: r.Comment}
	if err := plug(d, n, &r.Switch); err != nil {
		return err
	}
	if err := Check(d, n); err != nil {
		return err
	}
	if r.Bmcip != "" {
		if err := Give(set, n, g, catalog.BMC, r.Bmcip); err != nil {
			return err
		}
	}
	if r.Ip != "" {
		if err := Give(set, n, g, catalog.BootIf, r.Ip); err != nil {
			return err
		}
	}
	if err := Fill(set, n, g); err != nil {
		return err
	}
	d.Put(n.Id, n)
	return nil
}

// madeUp returns names of the cluster's prefix and the numbers above the highest in use.
func madeUp(d *change.Draft, count int) ([]string, error) {
	c, err := d.Cluster()
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, fault.Conflictf("there is no cluster yet: `luna cluster init --frontend_address A` first")
	}
	highest := 0
	err = d.EachName(catalog.Node, "", func(name, _ string) bool {
		if digits, ok := strings.CutPrefix(name, c.Nodeprefix); ok {
			if n, err := strconv.Atoi(digits); err == nil {
				highest = max(highest, n)
			}
		}
		return true
	})
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("%s%0*d", c.Nodeprefix, int(c.Nodedigits), highest+1+i)
	}
	return names, err
}

// Check looks at the fields of a node, and that its MAC and port are no other node's.
func Check(d *change.Draft, n *inventoryv1.Node) error {
	for _, err := range []error{inventoryv1.CheckHostName(n.Name), inventoryv1.CheckLine("port", n.Port), inventoryv1.CheckText("comment", n.Comment),
		inventoryv1.CheckKernopts(n.GetKernopts()), inventoryv1.CheckText("prescript", n.GetPrescript()),
		inventoryv1.CheckText("partscript", n.GetPartscript()), inventoryv1.CheckText("postscript", n.GetPostscript())} {
		if err != nil {
			return fault.Invalidf("%w", err)
		}
	}
	if n.SwitchId != "" && n.Port != "" {
		other, err := d.NodeByPort(n.SwitchId, n.Port)
		if err != nil {
			return err
		}
		if other != nil && other.Id != n.Id {
			return fault.Conflictf("port %s of that switch belongs to node %s", n.Port, other.Name)
		}
	}
	if n.Mac == "" {
		return nil
	}
	mac, err := inventoryv1.ParseMAC(n.Mac)
	if err != nil {
		return fault.Invalidf("%w", err)
	}
	n.Mac = mac
	other, err := d.NodeByMAC(mac)
	if err == nil && other != nil && other.Id != n.Id {
		err = fault.Conflictf("MAC %s belongs to node %s", mac, other.Name)
	}
	return err
}

// Change sets fields of nodes; another group takes their old addresses and gives new ones.
func Change(d *change.Draft, r *inventoryv1.NodeChangeRequest) error {
	nodes, err := chosen(d, r.Name, r.Of, r.All, r.IfRevision)
	if err != nil {
		return err
	}
	if len(nodes) > 1 && (r.GetMac() != "" || r.GetPort() != "" || r.Ip != "" || r.Bmcip != "") {
		return fault.Invalidf("a MAC, an address or a port is for one node, not for %d", len(nodes))
	}
	set := address.NewSet(d)
	for _, n := range nodes {
		before := proto.Clone(n)
		if err := changeOne(d, set, n, r); err != nil {
			return err
		}
		if len(nodes) == 1 || !proto.Equal(before, n) {
			d.Put(n.Id, n)
		}
	}
	return nil
}

func changeOne(d *change.Draft, set *address.Set, n *inventoryv1.Node, r *inventoryv1.NodeChangeRequest) error {
	change.Set(&n.Mac, r.Mac)
	change.Set(&n.Port, r.Port)
	change.Set(&n.Localboot, r.Localboot)
	change.Set(&n.Setupbmc, r.Setupbmc)
	change.Set(&n.Service, r.Service)
	change.Set(&n.Comment, r.Comment)
	if err := override(d, n, r); err != nil {
		return err
	}
	if err := plug(d, n, r.Switch); err != nil {
		return err
	}
	if err := Check(d, n); err != nil {
		return err
	}
	g, err := d.Group(n.GroupId)
	if err != nil {
		return err
	}
	if r.Group != nil {
		if g, err = move(d, set, n, *r.Group); err != nil {
			return err
		}
	}
	if r.Interface != "" || r.Ip != "" {
		iface := r.Interface
		if iface == "" {
			iface = catalog.BootIf
		}
		if err := Give(set, n, g, iface, r.Ip); err != nil {
			return err
		}
	}
	if r.Bmcip != "" {
		return Give(set, n, g, catalog.BMC, r.Bmcip)
	}
	return nil
}

// plug says which switch a node is on.
func plug(d *change.Draft, n *inventoryv1.Node, name *string) error {
	switch {
	case name == nil:
		return nil
	case *name == "":
		n.SwitchId = ""
		return nil
	}
	o, err := d.Named(catalog.Switch, *name, 0)
	if err != nil {
		return err
	}
	n.SwitchId = o.GetSwitch().Id
	return nil
}

func move(d *change.Draft, set *address.Set, n *inventoryv1.Node, group string) (*inventoryv1.Group, error) {
	o, err := d.Named(catalog.Group, group, 0)
	if err != nil {
		return nil, err
	}
	g := o.GetGroup()
	if g.Id == n.GroupId {
		return g, nil
	}
	n.GroupId = g.Id
	Drop(set, n, func(*inventoryv1.NodeAddress) bool { return false })
	return g, Fill(set, n, g)
}

// Delete removes nodes; their addresses rest.
func Delete(d *change.Draft, r *inventoryv1.NodeDeleteRequest) error {
	nodes, err := chosen(d, r.Name, r.Of, r.All, r.IfRevision)
	if err != nil {
		return err
	}
	set := address.NewSet(d)
	for _, n := range nodes {
		Drop(set, n, func(*inventoryv1.NodeAddress) bool { return false })
		d.Delete(catalog.Node, n.Id, n.Name)
	}
	return nil
}
