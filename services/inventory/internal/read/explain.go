package read

import (
	"context"
	"fmt"
	"strings"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// Explain tells where what a node gets comes from.
func (r *Reader) Explain(ctx context.Context, _ bus.Call, req *inventoryv1.NameRequest) (*inventoryv1.ExplainReply, error) {
	rep := &inventoryv1.ExplainReply{}
	rep.Revision, rep.MayBeOld = r.fresh(ctx)
	err := catalog.Read(r.state, func(v catalog.View) error {
		n, err := v.NodeNamed(req.Name)
		if err == nil && n == nil {
			err = fault.NotFoundf("there is no node %q", req.Name)
		}
		if err != nil {
			return err
		}
		j, err := v.Join(n)
		if err != nil {
			return err
		}
		rep.Values, err = explain(v, j)
		return err
	})
	if err != nil {
		return nil, err
	}
	return rep, nil
}

// explain lists a node's values in the order in which a boot needs them.
func explain(v catalog.View, j catalog.Joined) ([]*inventoryv1.Explained, error) {
	node, group := "node "+j.Node.Name, "group "+j.Group.GetName()
	own := func(mine *string, theirs string) string {
		if mine != nil {
			return node
		}
		return theirs
	}
	var all []*inventoryv1.Explained
	add := func(field, value, from string) {
		all = append(all, &inventoryv1.Explained{Field: field, Value: value, From: from})
	}
	add("group", j.Group.GetName(), node)
	add("mac", j.Node.Mac, node)
	domain := group
	if j.Group.GetDomain() == "" {
		domain = "network " + j.Network.GetName()
	}
	add("domain", j.Domain, domain)
	if err := explainAddresses(v, j, add); err != nil {
		return nil, err
	}
	add("gateway", j.Network.GetGateway(), "network "+j.Network.GetName())
	add("nameservers", strings.Join(j.Network.GetNameservers(), ", "), "network "+j.Network.GetName())
	add("ntp", strings.Join(j.Network.GetNtp(), ", "), "network "+j.Network.GetName())
	add("osimage", j.Osimage.GetName(), own(j.Node.OsimageId, group))
	add("kernopts", j.Kernopts(), own(j.Node.Kernopts, "osimage "+j.Osimage.GetName()))
	if root := j.Group.GetRoot(); root != "" {
		add("root", root, group)
	}
	add("prescript", j.Prescript(), own(j.Node.Prescript, group))
	add("partscript", j.Partscript(), own(j.Node.Partscript, group))
	add("postscript", j.Postscript(), own(j.Node.Postscript, group))
	add("bmcsetup", j.Bmcsetup.GetName(), group)
	for field, on := range map[string]bool{"localboot": j.Node.Localboot, "setupbmc": j.Node.Setupbmc, "service": j.Node.Service} {
		if on {
			add(field, "yes", node)
		}
	}
	add("menu_wait", fmt.Sprint(j.Cluster.GetMenuWait()), "cluster")
	return all, nil
}

func explainAddresses(v catalog.View, j catalog.Joined, add func(field, value, from string)) error {
	for _, a := range j.Node.Addresses {
		n, err := v.Network(a.NetworkId)
		if err != nil {
			return err
		}
		add(a.Interface, a.Address, "node "+j.Node.Name+", of network "+n.GetName())
		for _, i := range j.Group.GetInterfaces() {
			if i.Name != a.Interface {
				continue
			}
			switch {
			case i.Mtu > 0:
				add(a.Interface+" mtu", fmt.Sprint(i.Mtu), "group "+j.Group.GetName())
			case n.GetMtu() > 0:
				add(a.Interface+" mtu", fmt.Sprint(n.GetMtu()), "network "+n.GetName())
			}
		}
	}
	return nil
}
