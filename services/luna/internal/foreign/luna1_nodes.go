package foreign

import (
	"slices"

	"github.com/luna-hpc/luna/pkg/blueprint"
)

func (l *luna1) group(d *document) {
	g := blueprint.Group{Place: place(d.name()), Domain: d.text("domain"), TorrentIf: d.text("torrent_if"), Prescript: d.text("prescript"),
		Partscript: d.texts("partscript"), Postscript: d.texts("postscript"), Comment: d.text("comment")}
	if image := l.refer(d, "osimage", d.any("osimage"), "osimage"); image != nil {
		g.Osimage = image.name()
	}
	if bmc := l.refer(d, "bmcsetup", d.any("bmcsetup"), "bmcsetup"); bmc != nil {
		g.Bmcsetup = bmc.name()
	}
	join(&g, "BOOTIF", "")
	l.cards[d.id] = map[string]string{}
	cards, _ := d.any("interfaces").(map[string]any)
	for _, key := range slices.Sorted(keys(cards)) {
		card, _ := cards[key].(map[string]any)
		name, _ := card["name"].(string)
		if name == "" {
			name = key
		}
		l.cards[d.id][key] = name
		join(&g, name, "")
		refs := []any{card["network"]}
		if by, ok := card["network"].(map[string]any); ok && refID(by) == "" {
			refs = values(by)
		}
		for _, ref := range refs {
			if net := l.refer(d, "interfaces "+name, ref, "network"); net != nil {
				join(&g, name, net.name())
			}
		}
		if params, _ := card["params"].(string); params != "" {
			at := slices.IndexFunc(*g.Interfaces, func(i blueprint.Interface) bool { return i.Name == name })
			(*g.Interfaces)[at].Options = params
		}
	}
	l.Groups = append(l.Groups, g)
}

func (l *luna1) mac(d *document) {
	mac := d.text("mac")
	if n := l.refer(d, "node", d.any("node"), "node"); n != nil {
		l.macs[n.id] = append(l.macs[n.id], mac)
	}
}

func (l *luna1) node(d *document) {
	n := blueprint.Node{Place: place(d.name()), Port: d.text("port"), Localboot: d.bool("localboot"), Setupbmc: d.bool("setupbmc"),
		Service: d.bool("service"), Comment: d.text("comment"), Addresses: map[string]blueprint.List{}}
	for i, mac := range l.macs[d.id] {
		if i == 0 {
			n.Mac = &mac
			continue
		}
		l.leave(d.String(), "MAC "+mac, "a node has one here, %s", *n.Mac)
	}
	group := l.refer(d, "group", d.any("group"), "group")
	if group == nil {
		l.leave(d.String(), "the node", "it has no group")
		return
	}
	n.Group = group.name()
	if s := l.refer(d, "switch", d.any("switch"), "switch"); s != nil {
		n.Switch = s.name()
	}
	cards, _ := d.any("interfaces").(map[string]any)
	for _, key := range slices.Sorted(keys(cards)) {
		l.nodeCard(d, &n, group, key, cards[key])
	}
	l.Nodes = append(l.Nodes, n)
}

// nodeCard takes the addresses of one interface of a node: one, or one by family.
func (l *luna1) nodeCard(d *document, n *blueprint.Node, group *document, key string, value any) {
	name := l.cards[group.id][key]
	if name == "" {
		l.leave(d.String(), "interface "+key, "group %s has none like it", group.name())
		return
	}
	cards, _ := group.fields["interfaces"].(map[string]any)
	card, _ := cards[key].(map[string]any)
	byFamily, ok := value.(map[string]any)
	if !ok {
		byFamily = map[string]any{"": value}
	}
	for _, family := range slices.Sorted(keys(byFamily)) {
		ref := card["network"]
		if by, ok := ref.(map[string]any); ok && refID(by) == "" {
			if ref = by[family]; family == "" {
				ref = by["4"]
			}
		}
		net := l.refer(d, "interfaces", ref, "network")
		if a, ok := l.address(d, "interfaces "+name, net, byFamily[family]); ok {
			n.Addresses[name] = append(n.Addresses[name], a.String())
		}
	}
}
