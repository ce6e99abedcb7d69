// Package plan says what a node shall boot.
package plan

import (
	"fmt"
	"net/netip"

	"github.com/luna-hpc/luna/pkg/catalog"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// DefaultPort is the port of the boot service while the cluster says no other.
const DefaultPort = 7050

// Plan is a node with all that its scripts need.
type Plan struct {
	catalog.Joined
	// Networks are those of the node's addresses, by id.
	Networks map[string]*inventoryv1.Network
	// Release is what the node boots; nil when Reason says why there is none.
	Release *imagepackerv1.Release
	// Reason is a sentence for the person at the node's screen.
	Reason string
	// Head is the name of the head that nodes talk to.
	Head string
}

// Releases finds the release of an osimage that nodes boot now. Without one it
// gives the reason.
type Releases func(osimageID string) (r *imagepackerv1.Release, reason string, err error)

// Of makes the plan of a node.
func Of(v catalog.View, n *inventoryv1.Node, head string, releases Releases) (Plan, error) {
	j, err := v.Join(n)
	if err != nil {
		return Plan{}, fmt.Errorf("join node %s: %w", n.GetName(), err)
	}
	p := Plan{Joined: j, Networks: map[string]*inventoryv1.Network{}, Head: head}
	for _, a := range n.GetAddresses() {
		if p.Networks[a.NetworkId], err = v.Network(a.NetworkId); err != nil {
			return Plan{}, fmt.Errorf("network of node %s: %w", n.GetName(), err)
		}
	}
	if p.Reason = p.missing(); p.Reason != "" {
		return p, nil
	}
	p.Release, p.Reason, err = releases(j.Osimage.GetId())
	if p.Reason != "" {
		p.Reason = fmt.Sprintf("osimage %s: %s", j.Osimage.GetName(), p.Reason)
	}
	return p, err
}

func (p Plan) missing() string {
	switch {
	case p.Cluster.GetFrontendAddress() == "":
		return "the cluster has no frontend address"
	case p.Group == nil:
		return "the node has no group"
	case p.Osimage == nil:
		return fmt.Sprintf("group %s has no osimage", p.Group.GetName())
	}
	return ""
}

// Server returns the URL of a cluster's boot service without a path.
func Server(c *inventoryv1.Cluster) string {
	return "http://" + netip.AddrPortFrom(parse(c.GetFrontendAddress()), Port(c)).String()
}

// Port returns the TCP port of a cluster's boot service.
func Port(c *inventoryv1.Cluster) uint16 {
	if p := c.GetFrontendPort(); p > 0 && p < 1<<16 {
		return uint16(p)
	}
	return DefaultPort
}

// URL returns the URL that a cluster's nodes ask.
func URL(c *inventoryv1.Cluster) string { return Server(c) + "/luna" }

// Gateway returns the router of the node's boot network; "" when none is set.
func (p Plan) Gateway() string { return p.Network.GetGateway() }

// DNS returns the name servers of the node's boot network: those set, else its
// own name server's address, else none.
func (p Plan) DNS() []string {
	if set := p.Network.GetNameservers(); len(set) > 0 {
		return set
	}
	if ns := p.Network.GetNsIp(); ns != "" {
		return []string{ns}
	}
	return nil
}

func parse(s string) netip.Addr {
	a, _ := netip.ParseAddr(s) // the zero address is refused by who writes the script
	return a
}
