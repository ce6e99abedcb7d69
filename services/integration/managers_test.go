package integration_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/luna-hpc/luna/services/integration/room"
)

// TestNetworkManagers boots the same Debian with each program that can
// configure its network: addresses of both families, and a VLAN on a bond of
// the second card.
func TestNetworkManagers(t *testing.T) {
	for _, manager := range []string{"ifupdown", "networkd", "networkmanager", "netplan"} {
		t.Run(manager, func(t *testing.T) { managed(t, manager) })
	}
}

func managed(t *testing.T, manager string) {
	ctx := limit(t, 20*time.Minute)
	l := open(t, ctx, "LUNA_ROOM_NETWORK="+manager)
	must(t, l.StartHead(ctx))
	must(t, l.Describe(ctx))
	c := &checker{t: t, ctx: ctx, l: l}
	c.do("network", "add", "-n", "six", "-N", "fd00:30::", "-P", "64", "--gateway", "fd00:30::fffe")
	c.do("network", "add", "-n", "storage", "-N", "10.40.0.0", "-P", "16", "--mtu", "1400")
	c.do("group", "change", "compute", "-i", "BOOTIF", "--setnet", "six")
	// udev calls the second card so: it is in the fourth slot.
	c.do("group", "change", "compute", "-i", "bond0", "-A", "--bond", "enp0s4", "--bond_mode", "active-backup")
	c.do("group", "change", "compute", "-i", "bond0.7", "-A", "--vlan", "bond0", "--vlan_tag", "7", "--setnet", "storage")
	m, err := l.AddNodeLike(ctx, room.Machine{Firmware: room.BIOS, MoreCards: []string{"52:54:00:bb:00:01"}})
	must(t, err)
	c.do("node", "add", "-g", "compute")
	other, err := net.ParseMAC("52:54:00:cc:00:02")
	must(t, err)
	_, err = l.AddHost(ctx, "node002", other, netip.MustParsePrefix("10.30.0.2/16"), netip.MustParsePrefix("fd00:30::2/64"))
	must(t, err)
	must(t, m.Start(ctx))
	const address = "10.30.0.1"
	c.up("a node with "+manager, address)
	c.want(address, "ip -br -4 addr", address+"/16")
	c.want(address, "ip -br -6 addr", "fd00:30::1/64")
	c.want(address, "ip route show default", "default via 10.30.255.254")
	c.want(address, "ip -6 route show default", "default via fd00:30::fffe")
	c.want(address, "getent hosts node002", "fd00:30::2")
	c.want(address, "getent ahostsv4 node002", "10.30.0.2")
	c.want(address, "ping -c 1 -W 3 node002 && echo there", "there")
	c.want(address, "ping -4 -c 1 -W 3 node002 && echo there", "there")
	c.want(address, "ip -d link show bond0", "mode active-backup")
	c.want(address, "ip -d link show master bond0", "52:54:00:bb:00:01")
	c.want(address, "ip -d link show bond0.7", "vlan protocol 802.1Q id 7")
	c.want(address, "ip -d link show bond0.7", "mtu 1400")
	c.want(address, "ip -br addr show bond0.7", "10.40.0.1/16")
	c.want(address, "systemctl --failed --no-legend | wc -l", "0")
}
