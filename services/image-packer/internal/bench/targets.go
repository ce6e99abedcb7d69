package bench

import (
	"context"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/hostlist"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/image-packer/internal/remote"
)

// mostNodes is how many nodes one push may name: the results of more would not fit into a message of the bus.
const mostNodes = 2000

// target is a node, or why nothing is pushed to it.
type target struct {
	node string
	host remote.Host
	err  error
}

// targets finds the nodes of a push, in the order of their names when they are not named.
func (b *Bench) targets(image *inventoryv1.Osimage, req *imagepackerv1.OsimagePushRequest) (all []target, err error) {
	ways := 0
	for _, given := range []bool{len(req.Nodes) > 0, req.Group != "", req.All} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		return nil, fault.Invalidf("to which nodes? in one of three ways: --nodes, as in node[001-003], a group, or all that boot the image")
	}
	err = catalog.Read(b.State, func(v catalog.View) error {
		if len(req.Nodes) > 0 {
			all, err = listedNodes(v, image, req.Nodes)
		} else {
			all, err = nodesOf(v, image, req.Group)
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case len(all) == 0:
		return nil, fault.NotFoundf("no node boots osimage %s there", image.Name)
	case len(all) > mostNodes:
		return nil, fault.Invalidf("%d nodes: the limit is %d at a time; name them in parts", len(all), mostNodes)
	}
	return all, nil
}

func listedNodes(v catalog.View, image *inventoryv1.Osimage, lists []string) (all []target, err error) {
	names, err := hostlist.Expand(mostNodes, lists...)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		n, err := v.NodeNamed(name)
		if err != nil {
			return nil, err
		}
		if n == nil {
			all = append(all, target{node: name, err: fault.NotFoundf("there is no such node")})
			continue
		}
		t, err := targetOf(v, image, n)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// nodesOf returns the nodes of a group, or all that boot the image.
func nodesOf(v catalog.View, image *inventoryv1.Osimage, group string) (all []target, err error) {
	id := ""
	if group != "" {
		o, err := v.Find(catalog.Group, group)
		if err != nil {
			return nil, err
		}
		if o.GetGroup() == nil {
			return nil, fault.NotFoundf("there is no group %q", group)
		}
		id = o.GetGroup().Id
	}
	var bad error
	err = v.Nodes(func(n *inventoryv1.Node) bool {
		if id != "" && n.GroupId != id {
			return true
		}
		t, err := targetOf(v, image, n)
		if bad = err; err == nil && (id != "" || t.err == nil) {
			all = append(all, t)
		}
		return bad == nil
	})
	if bad != nil {
		err = bad
	}
	return all, err
}

// targetOf finds where a node is.
func targetOf(v catalog.View, image *inventoryv1.Osimage, n *inventoryv1.Node) (target, error) {
	j, err := v.Join(n)
	t := target{node: n.Name, host: remote.Host{Name: n.Name, Aliases: []string{j.FQDN()}}}
	switch {
	case err != nil:
		return t, err
	case j.Osimage.GetId() != image.Id:
		t.err = fault.Conflictf("not done: it boots osimage %s", j.Osimage.GetName())
	case !j.Address.IsValid():
		t.err = fault.Conflictf("not done: it has no address")
	}
	t.host.Address = j.Address.Addr().String()
	return t, nil
}

// hostKeys adds the keys that a node has told.
func (b *Bench) hostKeys(ctx context.Context, h *remote.Host) {
	keys, err := b.told(ctx, h.Name)
	if err != nil {
		b.Log.Warn("the host keys that a node has told are not known", "node", h.Name, "err", err) // files may have them
		if fault.KindOf(err) != fault.NotFound {
			h.Unsure = err
		}
	}
	h.Keys = keys
}
