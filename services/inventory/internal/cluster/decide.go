// Package cluster decides about the one cluster object and its DHCP range.
package cluster

import (
	"crypto/rand"
	"net/netip"
	"slices"
	"sort"
	"strings"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/address"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
)

// tokenKeySize is the length of the key of an HMAC-SHA256, in bytes.
const tokenKeySize = 32

// Init makes the cluster with the defaults of the original.
func Init(d *change.Draft, r *inventoryv1.ClusterInitRequest) error {
	if old, err := d.Cluster(); err != nil || old != nil {
		if err == nil {
			err = fault.Conflictf("the cluster exists already; use `luna cluster change`")
		}
		return err
	}
	c := New(d)
	c.FrontendAddress = r.FrontendAddress
	change.Set(&c.Nodeprefix, r.Nodeprefix)
	change.Set(&c.Nodedigits, r.Nodedigits)
	change.Set(&c.Path, r.Path)
	change.Set(&c.User, r.User)
	if err := Check(c); err != nil {
		return err
	}
	if err := Spare(d, Heads(c), nil); err != nil {
		return err
	}
	d.Put(c.Id, c)
	return nil
}

// New returns a cluster with what it has unless told otherwise and a key of its own.
func New(d *change.Draft) *inventoryv1.Cluster {
	key := make([]byte, tokenKeySize)
	rand.Read(key) // never fails
	c := Defaults()
	c.Id, c.TokenKeyId = change.NewID(), d.Secret(key)
	return c
}

// Defaults returns what a cluster has unless told otherwise.
func Defaults() *inventoryv1.Cluster {
	return &inventoryv1.Cluster{Nodeprefix: "node", Nodedigits: 3,
		Path: "/opt/luna", User: "luna", FrontendPort: 7050, ServerPort: 7051, TrackerInterval: 10,
		TrackerMinInterval: 5, TrackerMaxpeers: 200, TorrentListenPortMin: 7052, TorrentListenPortMax: 7200, MenuWait: 10}
}

// Change sets fields of the cluster.
func Change(d *change.Draft, r *inventoryv1.ClusterChangeRequest) error {
	o, err := d.Named(catalog.Cluster, string(catalog.Cluster), r.IfRevision)
	if err != nil {
		return err
	}
	c := o.GetCluster()
	before := Heads(c)
	change.Set(&c.FrontendAddress, r.FrontendAddress)
	change.Set(&c.Nodeprefix, r.Nodeprefix)
	change.Set(&c.Nodedigits, r.Nodedigits)
	change.Set(&c.Path, r.Path)
	change.Set(&c.User, r.User)
	change.Set(&c.FrontendPort, r.FrontendPort)
	change.Set(&c.ServerPort, r.ServerPort)
	change.Set(&c.TrackerInterval, r.TrackerInterval)
	change.Set(&c.TrackerMinInterval, r.TrackerMinInterval)
	change.Set(&c.TrackerMaxpeers, r.TrackerMaxpeers)
	change.Set(&c.TorrentListenPortMin, r.TorrentListenPortMin)
	change.Set(&c.TorrentListenPortMax, r.TorrentListenPortMax)
	change.Set(&c.MenuWait, r.MenuWait)
	change.Set(&c.Comment, r.Comment)
	if r.ClusterIps != nil {
		if c.ClusterIps, err = inventoryv1.ParseAddresses("cluster_ips", *r.ClusterIps); err != nil {
			return fault.Invalidf("%w", err)
		}
	}
	if err := Check(c); err != nil {
		return err
	}
	if err := Spare(d, Heads(c), before); err != nil {
		return err
	}
	d.Put(c.Id, c)
	return nil
}

// Heads returns the addresses of all heads.
func Heads(c *inventoryv1.Cluster) []string {
	return append([]string{c.FrontendAddress}, c.ClusterIps...)
}

// Spare is a Conflict when a node or a stranger may have an address that the
// heads did not have before.
func Spare(d *change.Draft, addresses, before []string) error {
	networks, err := d.Networks()
	if err != nil {
		return err
	}
	set := address.NewSet(d)
	for _, n := range networks {
		a, err := set.Of(n.Id)
		if err != nil {
			return err
		}
		for _, s := range addresses {
			addr, err := netip.ParseAddr(s)
			if err != nil || slices.Contains(before, s) || !a.Holds(addr) {
				continue
			}
			if err := a.Spare(addr); err != nil {
				return err
			}
		}
	}
	return nil
}

// Check looks at the fields of a cluster and spells its address in one way.
func Check(c *inventoryv1.Cluster) error {
	if c.FrontendAddress == "" {
		return fault.Invalidf("frontend_address is needed: the IPv4 address of this head that nodes talk to")
	}
	a, err := inventoryv1.ParseAddress("frontend_address", c.FrontendAddress)
	switch {
	case err != nil:
		return fault.Invalidf("%w", err)
	case !a.Is4():
		return fault.Invalidf("frontend_address %s must be an IPv4 address: firmware boots over IPv4", a)
	case c.Nodedigits < 1 || c.Nodedigits > 9:
		return fault.Invalidf("nodedigits must be 1 to 9, not %d", c.Nodedigits)
	case !strings.HasPrefix(c.Path, "/"):
		return fault.Invalidf("path %q must begin with /", c.Path)
	case c.TrackerInterval < 1 || c.TrackerMinInterval < 1 || c.TrackerMinInterval > c.TrackerInterval:
		return fault.Invalidf("tracker_min_interval must be from 1 to tracker_interval seconds")
	case c.TrackerMaxpeers < 1:
		return fault.Invalidf("tracker_maxpeers must be 1 or more")
	case c.TorrentListenPortMin < 1 || c.TorrentListenPortMax > 65535 || c.TorrentListenPortMin > c.TorrentListenPortMax:
		return fault.Invalidf("torrent_listen_port_min and _max must be ports, the first not above the second")
	case c.MenuWait > 3600:
		return fault.Invalidf("menu_wait must be at most 3600 seconds")
	}
	for what, p := range map[string]uint32{"frontend_port": c.FrontendPort, "server_port": c.ServerPort} {
		if p < 1 || p > 65535 {
			return fault.Invalidf("%s must be 1 to 65535, not %d", what, p)
		}
	}
	c.FrontendAddress = a.String()
	for _, err := range []error{inventoryv1.CheckHostName(c.Nodeprefix + "1"), inventoryv1.CheckLine("path", c.Path),
		inventoryv1.CheckName(c.User), inventoryv1.CheckText("comment", c.Comment)} {
		if err != nil {
			return fault.Invalidf("%w", err)
		}
	}
	return nil
}

// Makedhcp gives a network its range of addresses for strangers.
func Makedhcp(d *change.Draft, r *inventoryv1.ClusterMakedhcpRequest) error {
	o, err := d.Named(catalog.Network, r.Network, 0)
	if err != nil {
		return err
	}
	n := o.GetNetwork()
	first, err := rangeEnd(n, "start_ip", r.StartIp)
	if err != nil {
		return err
	}
	last, err := rangeEnd(n, "end_ip", r.EndIp)
	if err != nil {
		return err
	}
	n.DhcpRange = &inventoryv1.AddressRange{Start: first.String(), End: last.String()}
	if err := CheckRange(address.NewSet(d), n); err != nil {
		return err
	}
	d.Put(n.Id, n)
	return nil
}

// CheckRange looks whether the range of a network lies in it and holds no address in use.
func CheckRange(set *address.Set, n *inventoryv1.Network) error {
	first, err := rangeEnd(n, "start_ip", n.DhcpRange.GetStart())
	if err != nil {
		return err
	}
	last, err := rangeEnd(n, "end_ip", n.DhcpRange.GetEnd())
	if err != nil {
		return err
	}
	if last.Less(first) {
		return fault.Invalidf("end_ip %s comes before start_ip %s", last, first)
	}
	a, err := set.Of(n.Id)
	if err != nil {
		return err
	}
	if held := a.Holders(first, last); len(held) > 0 {
		sort.Strings(held)
		return fault.Conflictf("the range holds addresses in use: %s", strings.Join(held[:min(len(held), 10)], ", "))
	}
	return nil
}

func rangeEnd(n *inventoryv1.Network, what, s string) (netip.Addr, error) {
	a, err := inventoryv1.ParseAddress(what, s)
	if err != nil {
		return a, fault.Invalidf("%w", err)
	}
	p, err := netip.ParsePrefix(n.Cidr)
	if err != nil {
		return a, err
	}
	if !p.Contains(a) {
		return a, fault.Invalidf("%s %s is not in network %s (%s)", what, a, n.Name, n.Cidr)
	}
	return a, nil
}

// Delete removes the cluster when nothing else is left.
func Delete(d *change.Draft, r *inventoryv1.ClusterDeleteRequest) error {
	o, err := d.Named(catalog.Cluster, string(catalog.Cluster), r.IfRevision)
	if err != nil {
		return err
	}
	for _, noun := range catalog.Nouns {
		if noun == catalog.Cluster || noun == catalog.Rest {
			continue
		}
		var left string
		if err := d.EachName(noun, "", func(name, _ string) bool { left = name; return false }); err != nil {
			return err
		}
		if left != "" {
			return fault.Conflictf("%s %q is still there; delete everything else first", noun, left)
		}
	}
	d.Delete(catalog.Cluster, o.GetCluster().Id, string(catalog.Cluster))
	return nil
}
