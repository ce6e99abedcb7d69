package transfer

import (
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/blueprint"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
)

// name gives every name its id: that of the object that has it, or a new one.
func (p *plan) name() error {
	for noun, places := range places(p.text) {
		there := map[string]string{}
		err := p.draft.EachName(noun, "", func(name, id string) bool { there[name] = id; return true })
		if err != nil {
			return err
		}
		named := map[string]string{}
		for _, place := range places {
			if named[place.Name] = there[place.Name]; named[place.Name] == "" {
				named[place.Name] = change.NewID()
			}
		}
		for name, id := range there {
			switch {
			case named[name] != "":
			case !p.Prune:
				named[name] = id
			default:
				if err := p.drop(noun, name, id); err != nil {
					return err
				}
			}
		}
		p.ids[noun] = named
	}
	return p.nameCluster()
}

// nameCluster lets the cluster go when the text says nothing at all.
func (p *plan) nameCluster() error {
	c, err := p.draft.Cluster()
	if err != nil || c == nil || !p.Prune || p.text.Cluster != nil {
		return err
	}
	for _, named := range p.ids {
		if len(named) > 0 {
			return fault.Conflictf("cluster: the text does not say it; without --prune it stays as it is")
		}
	}
	p.gone = append(p.gone, &object{noun: catalog.Cluster, name: string(catalog.Cluster), old: c})
	return nil
}

// drop lets an object go.
func (p *plan) drop(noun catalog.Noun, name, id string) error {
	old, err := p.was(noun, id)
	if err == nil {
		p.gone = append(p.gone, &object{noun: noun, name: name, old: old})
	}
	return err
}

// was returns an object as it is; nil when there is none.
func (p *plan) was(noun catalog.Noun, id string) (proto.Message, error) {
	o, err := p.draft.Object(noun, id)
	if err != nil || o == nil {
		return nil, err
	}
	_, m := catalog.Unwrap(o)
	return m, nil
}

// places returns the names in a text.
func places(b *blueprint.Blueprint) map[catalog.Noun][]blueprint.Place {
	all := map[catalog.Noun][]blueprint.Place{}
	for _, n := range nouns {
		all[n] = nil
	}
	collect(all, catalog.Network, b.Networks, func(o *blueprint.Network) blueprint.Place { return o.Place })
	collect(all, catalog.Osimage, b.Osimages, func(o *blueprint.Osimage) blueprint.Place { return o.Place })
	collect(all, catalog.Bmcsetup, b.Bmcsetups, func(o *blueprint.Bmcsetup) blueprint.Place { return o.Place })
	collect(all, catalog.Switch, b.Switches, func(o *blueprint.Switch) blueprint.Place { return o.Place })
	collect(all, catalog.Otherdev, b.Otherdevs, func(o *blueprint.Otherdev) blueprint.Place { return o.Place })
	collect(all, catalog.Group, b.Groups, func(o *blueprint.Group) blueprint.Place { return o.Place })
	collect(all, catalog.Node, b.Nodes, func(o *blueprint.Node) blueprint.Place { return o.Place })
	return all
}

func collect[T any](all map[catalog.Noun][]blueprint.Place, noun catalog.Noun, objects []T, place func(*T) blueprint.Place) {
	for i := range objects {
		all[noun] = append(all[noun], place(&objects[i]))
	}
}

// refer returns the id of what a field names; an empty name is none.
func (p *plan) refer(noun catalog.Noun, field, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	id := p.ids[noun][name]
	switch {
	case id != "":
		return id, nil
	case p.Prune:
		return "", fault.NotFoundf("%s: the text has no %s %q", field, noun, name)
	}
	return "", fault.NotFoundf("%s: there is no %s %q", field, noun, name)
}
