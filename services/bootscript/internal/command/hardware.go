package command

import (
	"context"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/bootscript/internal/hardware"
)

func (c Commands) hardware(_ context.Context, _ bus.Call, req *bootscriptv1.HardwareShowRequest) (*bootscriptv1.HardwareShowReply, error) {
	rep := &bootscriptv1.HardwareShowReply{Node: req.Node}
	err := c.Hardware.View(func(v hardware.View) error {
		n, err := node(v.Tx, req.Node)
		if err != nil {
			return err
		}
		r, err := v.Of(n.Id)
		rep.Now, rep.Before = r.GetNow(), r.GetBefore()
		rep.Changes = hardware.Changes(rep.Before, rep.Now)
		return err
	})
	return rep, err
}

// knownHosts tells the host keys of the nodes after a name, as many as a page
// or a reply holds.
func (c Commands) knownHosts(_ context.Context, _ bus.Call, req *bootscriptv1.KnownHostsRequest) (*bootscriptv1.KnownHostsReply, error) {
	rep := &bootscriptv1.KnownHostsReply{}
	err := c.Hardware.View(func(v hardware.View) error {
		names, err := namesAfter(v, req.After)
		if err != nil {
			return err
		}
		size := 0
		for i, name := range names {
			lines, err := knownHost(v, name)
			if err != nil {
				return err
			}
			for _, line := range lines {
				size += len(line) + 20
			}
			if i == perPage || i > 0 && size > maxReply {
				rep.Next = names[i-1]
				return nil
			}
			rep.Lines = append(rep.Lines, lines...)
		}
		return nil
	})
	return rep, err
}

// namesAfter returns the names of a page, and one more when there are more.
func namesAfter(v hardware.View, after string) (names []string, err error) {
	err = catalog.Of(v.Tx).EachName(catalog.Node, after, func(name, _ string) bool {
		names = append(names, name)
		return len(names) <= perPage
	})
	return names, err
}

// knownHost returns the lines of a node, by its name, its full name and the
// addresses that it has now.
func knownHost(v hardware.View, name string) ([]string, error) {
	n, err := node(v.Tx, name)
	if err != nil {
		return nil, err
	}
	r, err := v.Of(n.Id)
	if err != nil || len(r.GetNow().GetHostKeys()) == 0 {
		return nil, err
	}
	j, err := catalog.Of(v.Tx).Join(n)
	if err != nil {
		return nil, err
	}
	hosts := []string{name}
	if full := j.FQDN(); full != name {
		hosts = append(hosts, full)
	}
	return hardware.KnownHosts(append(hosts, addresses(n)...), r.Now.HostKeys), nil
}

// addresses returns the addresses at which a node's system answers: its BMC is
// another machine.
func addresses(n *inventoryv1.Node) (all []string) {
	for _, a := range n.Addresses {
		if a.Interface != catalog.BMC && a.Address != "" {
			all = append(all, a.Address)
		}
	}
	return all
}
