package ledger

import (
	"fmt"
	"net/netip"
	"strings"
)

// object has what matters here of an object of any kind.
type object struct {
	ID, Name string

	// Of a node.
	MAC       string
	GroupID   string `json:"group_id"`
	Addresses []struct {
		Interface string
		NetworkID string `json:"network_id"`
		Address   string
	}

	// Of a group.
	OsimageID  string `json:"osimage_id"`
	Interfaces []struct {
		Name       string
		NetworkIDs []string `json:"network_ids"`
	}

	// Of a network.
	CIDR, Gateway              string
	NSIP                       string `json:"ns_ip"`
	Nameservers, NTP, Reserved []string
	DHCPRange                  *struct{ Start, End string } `json:"dhcp_range"`

	// Of the cluster.
	Frontend string   `json:"frontend_address"`
	Heads    []string `json:"cluster_ips"`

	// Of an address that rests.
	NetworkID string `json:"network_id"`
	Address   string
}

// told is an object as a client is told of it.
func (o object) told(noun string) Object {
	n := Object{Noun: noun, Name: o.Name}
	for _, a := range o.Addresses {
		n.Addresses = append(n.Addresses, a.Address)
	}
	return n
}

// checkNames wants that no two have the same name, and no two nodes the same MAC. Addresses that rest remember the
// MAC of who had them, who may have had several.
func (b *book) checkNames() {
	for noun := range b.objects {
		owner, card := map[string]string{}, map[string]string{}
		for _, id := range b.ids(noun) {
			o := b.objects[noun][id]
			if other := owner[o.Name]; o.Name != "" && other != "" {
				b.fault(OneName, "%ss %s and %s are called %q", noun, other, id, o.Name)
			}
			owner[o.Name] = id
			if noun != "node" {
				continue
			}
			mac := strings.ToLower(o.MAC)
			if other := card[mac]; mac != "" && other != "" {
				b.fault(OneMAC, "%ss %s and %s have %s", noun, other, id, mac)
			}
			card[mac] = id
		}
	}
}

// place is an address in a network.
type place struct {
	network string
	address netip.Addr
}

// checkAddresses wants that every address of a node is its alone.
func (b *book) checkAddresses() {
	networks := b.objects["network"]
	taken, holder := b.notForNodes(networks), map[place]string{}
	for _, id := range b.ids("node") {
		n := b.objects["node"][id]
		for _, a := range n.Addresses {
			addr, err := netip.ParseAddr(a.Address)
			if err != nil {
				b.fault(Readable, "node %s: %v", n.Name, err)
				continue
			}
			at := place{a.NetworkID, addr}
			who := fmt.Sprintf("node %s (%s)", id, n.Name)
			if other := holder[at]; other != "" {
				b.fault(OneHolder, "%s belongs to %s and to %s", addr, other, who)
			}
			holder[at] = who
			if why := taken[at]; why != "" {
				b.fault(FreeToHold, "%s of %s is %s", addr, who, why)
			}
			if why := unfit(networks, at); why != "" {
				b.fault(FreeToHold, "%s of %s %s", addr, who, why)
			}
		}
	}
}

// unfit says why an address cannot be one of a node in its network.
func unfit(networks map[string]object, at place) string {
	n, ok := networks[at.network]
	if !ok {
		return "is in a network that does not exist"
	}
	prefix, err := netip.ParsePrefix(n.CIDR)
	if err != nil || !prefix.Contains(at.address) {
		return "is not in network " + n.CIDR
	}
	if n.DHCPRange == nil {
		return ""
	}
	start, err1 := netip.ParseAddr(n.DHCPRange.Start)
	end, err2 := netip.ParseAddr(n.DHCPRange.End)
	if err1 != nil || err2 != nil || (start.Compare(at.address) <= 0 && at.address.Compare(end) <= 0) {
		return "is in the DHCP range"
	}
	return ""
}

// notForNodes returns what others than nodes hold.
func (b *book) notForNodes(networks map[string]object) map[place]string {
	taken := map[place]string{}
	take := func(network, why string, addresses ...string) {
		for _, a := range addresses {
			if addr, err := netip.ParseAddr(a); err == nil {
				taken[place{network, addr}] = why
			} else if a != "" {
				b.fault(Readable, "%s: %v", why, err)
			}
		}
	}
	for id, n := range networks {
		take(id, "the gateway's", n.Gateway)
		take(id, "a server's", n.NSIP)
		take(id, "a server's", n.Nameservers...)
		take(id, "a server's", n.NTP...)
		take(id, "reserved", n.Reserved...)
		for _, c := range b.ids("cluster") {
			take(id, "the head's", b.objects["cluster"][c].Frontend)
			take(id, "the head's", b.objects["cluster"][c].Heads...)
		}
	}
	for _, id := range b.ids("rest") {
		r := b.objects["rest"][id]
		take(r.NetworkID, "resting", r.Address)
	}
	return taken
}
