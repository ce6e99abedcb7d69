package catalog

import (
	"fmt"
	"net/netip"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/projection"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// View reads the inventory within one transaction. What is not there is nil
// without an error.
type View struct {
	tx    source
	known *Known
}

// source is what a view reads: a transaction, or a layer over one.
type source interface {
	Get(bucket, key string) ([]byte, error)
	Each(bucket, prefix, after string, do func(key string, data []byte) bool) error
}

// Read calls do with a view of a state.
func Read(s *projection.State, do func(v View) error) error {
	return s.View(func(tx *projection.Tx) error { return do(Of(tx)) })
}

// Of returns the view of a transaction.
func Of(tx *projection.Tx) View { return View{tx: tx} }

// Object returns an object by id.
func (v View) Object(noun Noun, id string) (*inventoryv1.Object, error) {
	return v.known.get(v.tx, noun, id)
}

// Find returns an object by name.
func (v View) Find(noun Noun, name string) (*inventoryv1.Object, error) {
	id, err := v.tx.Get(names, key(noun, name))
	if err != nil || id == nil {
		return nil, err
	}
	return v.Object(noun, string(id))
}

// Each calls do for the objects of a noun in the order of their ids, from
// after on, until it returns false.
func (v View) Each(noun Noun, after string, do func(o *inventoryv1.Object) bool) error {
	from := ""
	if after != "" {
		from = key(noun, after)
	}
	var bad error
	err := v.tx.Each(objects, key(noun, ""), from, func(k string, data []byte) bool {
		o := &inventoryv1.Object{}
		if err := proto.Unmarshal(data, o); err != nil {
			bad = fmt.Errorf("decode %s: %w", k, projection.ErrDamaged)
			return false
		}
		return do(o)
	})
	if bad != nil {
		return bad
	}
	return err
}

// EachName calls do for the names and ids of a noun's objects in the order of
// their names, after a name.
func (v View) EachName(noun Noun, after string, do func(name, id string) bool) error {
	from := ""
	if after != "" {
		from = key(noun, after)
	}
	prefix := key(noun, "")
	return v.tx.Each(names, prefix, from, func(k string, id []byte) bool {
		return do(strings.TrimPrefix(k, prefix), string(id))
	})
}

// Cluster returns the cluster; nil before `luna cluster init`.
func (v View) Cluster() (*inventoryv1.Cluster, error) {
	o, err := v.Find(Cluster, string(Cluster))
	return o.GetCluster(), err
}

// Network returns a network by id.
func (v View) Network(id string) (*inventoryv1.Network, error) {
	o, err := v.Object(Network, id)
	return o.GetNetwork(), err
}

// Osimage returns an osimage by id.
func (v View) Osimage(id string) (*inventoryv1.Osimage, error) {
	o, err := v.Object(Osimage, id)
	return o.GetOsimage(), err
}

// Group returns a group by id.
func (v View) Group(id string) (*inventoryv1.Group, error) {
	o, err := v.Object(Group, id)
	return o.GetGroup(), err
}

// Bmcsetup returns a BMC set-up by id.
func (v View) Bmcsetup(id string) (*inventoryv1.Bmcsetup, error) {
	o, err := v.Object(Bmcsetup, id)
	return o.GetBmcsetup(), err
}

// Switch returns a switch by id.
func (v View) Switch(id string) (*inventoryv1.Switch, error) {
	o, err := v.Object(Switch, id)
	return o.GetSwitch(), err
}

// Groups calls do with every group until it returns false, in the order of their ids.
func (v View) Groups(do func(g *inventoryv1.Group) bool) error {
	return v.Each(Group, "", func(o *inventoryv1.Object) bool { return do(o.GetGroup()) })
}

// Switches returns all switches.
func (v View) Switches() ([]*inventoryv1.Switch, error) {
	var all []*inventoryv1.Switch
	err := v.Each(Switch, "", func(o *inventoryv1.Object) bool { all = append(all, o.GetSwitch()); return true })
	return all, err
}

// Otherdevs returns all devices that only DNS knows.
func (v View) Otherdevs() ([]*inventoryv1.Otherdev, error) {
	var all []*inventoryv1.Otherdev
	err := v.Each(Otherdev, "", func(o *inventoryv1.Object) bool { all = append(all, o.GetOtherdev()); return true })
	return all, err
}

// Node returns a node by id.
func (v View) Node(id string) (*inventoryv1.Node, error) {
	o, err := v.Object(Node, id)
	return o.GetNode(), err
}

// NodeNamed returns a node by name.
func (v View) NodeNamed(name string) (*inventoryv1.Node, error) {
	o, err := v.Find(Node, name)
	return o.GetNode(), err
}

// NodeByMAC returns the node that boots from a MAC, written as 52:54:00:00:00:01.
func (v View) NodeByMAC(mac string) (*inventoryv1.Node, error) {
	o, err := v.HolderOfMAC(mac)
	return o.GetNode(), err
}

// HolderOfMAC is NodeByMAC with the object that the node is.
func (v View) HolderOfMAC(mac string) (*inventoryv1.Object, error) {
	return v.nodeBy(macs, strings.ToLower(mac))
}

// NodeByAddress returns the node that has an address in a network.
func (v View) NodeByAddress(networkID string, addr netip.Addr) (*inventoryv1.Node, error) {
	o, err := v.nodeBy(addresses, key(Noun(networkID), addr.String()))
	return o.GetNode(), err
}

// NodeByPort returns the node that is configured for a port of a switch.
func (v View) NodeByPort(switchID, port string) (*inventoryv1.Node, error) {
	o, err := v.nodeBy(ports, key(Noun(switchID), port))
	return o.GetNode(), err
}

func (v View) nodeBy(bucket, k string) (*inventoryv1.Object, error) {
	id, err := v.tx.Get(bucket, k)
	if err != nil || id == nil {
		return nil, err
	}
	return v.Object(Node, string(id))
}

// Nodes calls do for all nodes until it returns false.
func (v View) Nodes(do func(n *inventoryv1.Node) bool) error {
	return v.Each(Node, "", func(o *inventoryv1.Object) bool { return do(o.GetNode()) })
}

// Networks returns all networks.
func (v View) Networks() ([]*inventoryv1.Network, error) {
	var all []*inventoryv1.Network
	err := v.Each(Network, "", func(o *inventoryv1.Object) bool { all = append(all, o.GetNetwork()); return true })
	return all, err
}

// NetworkOf returns the network that an address lies in, the longest prefix first.
func (v View) NetworkOf(addr netip.Addr) (*inventoryv1.Network, error) {
	all, err := v.Networks()
	var best *inventoryv1.Network
	bits := -1
	for _, n := range all {
		if p, err := netip.ParsePrefix(n.Cidr); err == nil && p.Contains(addr) && p.Bits() > bits {
			best, bits = n, p.Bits()
		}
	}
	return best, err
}

// EachAddress calls do for every address that a node has in a network.
func (v View) EachAddress(networkID string, do func(addr netip.Addr, nodeID string)) error {
	prefix := key(Noun(networkID), "")
	return v.tx.Each(addresses, prefix, "", func(k string, id []byte) bool {
		if addr, err := netip.ParseAddr(strings.TrimPrefix(k, prefix)); err == nil {
			do(addr, string(id))
		}
		return true
	})
}
