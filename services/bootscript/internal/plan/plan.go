// Package plan says what a node shall boot.
package plan

import (
	"fmt"
	"net/netip"
	"slices"

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
	// Site is where the heads are, as the node finds them.
	Site Site
	// Head is the name of the head that nodes talk to.
	Head string
}

// Site is where the boot services of a cluster's heads are.
type Site struct {
	// Heads are their IPv4 addresses, first the one that a node shall ask first.
	Heads []netip.Addr
	Port  uint16
}

// SiteOf returns the site of a cluster. The head that was asked, at one of the
// heads' addresses, stands first; else the frontend address does.
func SiteOf(c *inventoryv1.Cluster, asked netip.Addr) Site {
	s := Site{Port: Port(c)}
	for _, text := range append([]string{c.GetFrontendAddress()}, c.GetClusterIps()...) {
		if a := parse(text); a.Is4() && !slices.Contains(s.Heads, a) {
			s.Heads = append(s.Heads, a)
		}
	}
	if i := slices.Index(s.Heads, asked); i > 0 {
		s.Heads = slices.Concat(s.Heads[i:], s.Heads[:i])
	}
	return s
}

// Servers returns the URLs of the boot services without a path.
func (s Site) Servers() []string {
	all := make([]string, len(s.Heads))
	for i, a := range s.Heads {
		all[i] = "http://" + netip.AddrPortFrom(a, s.Port).String()
	}
	return all
}

// Server returns the first URL without a path; "" when there is no head.
func (s Site) Server() string { return first(s.Servers()) }

// URLs returns what nodes ask of each head, with a query.
func (s Site) URLs(query string) []string {
	all := s.Servers()
	for i := range all {
		all[i] += "/luna" + query
	}
	return all
}

// URL returns the first of URLs without a query.
func (s Site) URL() string { return first(s.URLs("")) }

func first(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return all[0]
}

// Releases finds the release of an osimage that nodes boot now, those that need
// its compressed image or others. Without one it gives the reason.
type Releases func(osimageID string, overlay bool) (r *imagepackerv1.Release, reason string, err error)

// Of makes the plan of a node that asked the head named head at an address.
func Of(v catalog.View, n *inventoryv1.Node, head string, asked netip.Addr, releases Releases) (Plan, error) {
	j, err := v.Join(n)
	if err != nil {
		return Plan{}, fmt.Errorf("join node %s: %w", n.GetName(), err)
	}
	p := Plan{Joined: j, Networks: map[string]*inventoryv1.Network{}, Head: head, Site: SiteOf(j.Cluster, asked)}
	for _, a := range n.GetAddresses() {
		if p.Networks[a.NetworkId], err = v.Network(a.NetworkId); err != nil {
			return Plan{}, fmt.Errorf("network of node %s: %w", n.GetName(), err)
		}
	}
	if p.Reason = p.missing(); p.Reason != "" {
		return p, nil
	}
	p.Release, p.Reason, err = releases(j.Osimage.GetId(), p.Overlay())
	if p.Reason != "" {
		p.Reason = fmt.Sprintf("osimage %s: %s", j.Osimage.GetName(), p.Reason)
		return p, err
	}
	if err == nil {
		p.Reason = p.unmade()
	}
	return p, err
}

// Take makes the plan one of another release, or says why that cannot be installed.
func (p *Plan) Take(r *imagepackerv1.Release) {
	p.Release = r
	if p.Reason == "" {
		p.Reason = p.unmade()
	}
}

// unmade is a sentence when the release has not the form that the node installs.
func (p Plan) unmade() string {
	if !p.Overlay() || p.Release.GetOverlay() != nil {
		return ""
	}
	return fmt.Sprintf("osimage %s: its release has no compressed image, which root overlay of group %s needs: pack the image again, and start a node that booted before again",
		p.Osimage.GetName(), p.Group.GetName())
}

// Overlay tells whether the node mounts a compressed image instead of unpacking the files.
func (p Plan) Overlay() bool { return p.Group.GetRoot() == inventoryv1.RootOverlay }

// Payload returns the digests of what the node installs of its release.
func (p Plan) Payload() (manifest, torrent string) {
	if p.Overlay() {
		return p.Release.GetOverlay().GetManifest(), p.Release.GetOverlay().GetTorrent()
	}
	return p.Release.GetManifest(), p.Release.GetTorrent()
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

// Port returns the TCP port of a cluster's boot service.
func Port(c *inventoryv1.Cluster) uint16 {
	if p := c.GetFrontendPort(); p > 0 && p < 1<<16 {
		return uint16(p)
	}
	return DefaultPort
}

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
