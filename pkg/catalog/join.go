package catalog

import (
	"net/netip"
	"strings"

	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// BootIf is the interface name that stands for whichever card carries the node's MAC.
const BootIf = "BOOTIF"

// BMC is the interface name that stands for the management controller.
const BMC = "BMC"

// Joined is a node with what it refers to; what is missing is nil or zero.
type Joined struct {
	Cluster *inventoryv1.Cluster
	Node    *inventoryv1.Node
	Group   *inventoryv1.Group
	Osimage *inventoryv1.Osimage
	// Bmcsetup is the group's.
	Bmcsetup *inventoryv1.Bmcsetup
	// Network is the IPv4 network of BOOTIF, Address the node's address and prefix in it.
	Network *inventoryv1.Network
	Address netip.Prefix
	// Domain is the group's, or the name of BOOTIF's network.
	Domain string
}

// Join follows a node's references.
func (v View) Join(n *inventoryv1.Node) (j Joined, err error) {
	j.Node = n
	if j.Cluster, err = v.Cluster(); err != nil {
		return j, err
	}
	if j.Group, err = v.Group(n.GetGroupId()); err != nil {
		return j, err
	}
	if j.Osimage, err = v.Osimage(OsimageID(n, j.Group)); err != nil {
		return j, err
	}
	if j.Bmcsetup, err = v.Bmcsetup(j.Group.GetBmcsetupId()); err != nil {
		return j, err
	}
	for _, a := range n.GetAddresses() {
		addr, parseErr := netip.ParseAddr(a.Address)
		if a.Interface != BootIf || parseErr != nil || !addr.Is4() {
			continue
		}
		if j.Network, err = v.Network(a.NetworkId); err != nil {
			return j, err
		}
		if p, parseErr := netip.ParsePrefix(j.Network.GetCidr()); parseErr == nil {
			j.Address = netip.PrefixFrom(addr, p.Bits())
		}
	}
	if j.Domain = j.Group.GetDomain(); j.Domain == "" {
		j.Domain = j.Network.GetName()
	}
	return j, nil
}

// CardName returns the host name of a node's other interface or controller, as
// node001-eth1: what a DNS label cannot hold becomes a hyphen.
func CardName(node, iface string) string {
	return node + "-" + strings.ToLower(cardLabel.Replace(iface))
}

var cardLabel = strings.NewReplacer(".", "-", ":", "-", "_", "-")

// FQDN returns the node's name with its domain.
func (j Joined) FQDN() string {
	if j.Domain == "" {
		return j.Node.GetName()
	}
	return j.Node.GetName() + "." + j.Domain
}
