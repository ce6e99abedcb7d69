package seed

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/luna-hpc/luna/pkg/swarm"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// DefaultPort is the port of tracker, torrents and segments before a cluster says another.
const DefaultPort = 7051

// siteOf reads the cluster; nil, before `luna cluster init`, gives a site without heads.
func siteOf(c *inventoryv1.Cluster, networks ...*inventoryv1.Network) Site {
	s := Site{Port: DefaultPort, Pace: swarm.Pace{
		Interval:    time.Duration(c.GetTrackerInterval()) * time.Second,
		MinInterval: time.Duration(c.GetTrackerMinInterval()) * time.Second,
		MaxPeers:    int(c.GetTrackerMaxpeers()),
	}}
	if p := c.GetServerPort(); p > 0 && p <= 65535 {
		s.Port = uint16(p)
	}
	for _, text := range append([]string{c.GetFrontendAddress()}, c.GetClusterIps()...) {
		if a, err := netip.ParseAddr(text); err == nil && !slices.Contains(s.Heads, a) {
			s.Heads = append(s.Heads, a)
		}
	}
	for _, n := range networks {
		if p, err := netip.ParsePrefix(n.GetCidr()); err == nil {
			s.Networks = append(s.Networks, p)
		}
	}
	return s
}

// localAddrs returns the addresses of this host.
func localAddrs() ([]netip.Addr, error) {
	ifaddrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list this host's addresses: %w", err)
	}
	var all []netip.Addr
	for _, a := range ifaddrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			all = append(all, p.Addr())
		}
	}
	return all, nil
}
