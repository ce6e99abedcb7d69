package foreign

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/luna-hpc/luna/pkg/blueprint"
	"github.com/luna-hpc/luna/pkg/fault"
)

// collections are those of Luna 1.2, those first that others refer to.
var collections = []string{"cluster", "network", "osimage", "bmcsetup", "switch", "otherdev", "group", "mac", "node"}

// luna1 follows the references of documents by collection and id.
type luna1 struct {
	Taken
	docs map[string][]*document
	byID map[string]*document
	nets map[string]*blueprint.Network
	// cards are the names of a group's interfaces by their key in its nodes.
	cards map[string]map[string]string
	macs  map[string][]string
	// used are addresses that somebody has, by network.
	used map[string]map[netip.Addr]bool
}

// Luna1 reads the collections of Luna 1.2 as mongoexport writes them; a file is
// named like its collection.
func Luna1(files []File) (*Taken, error) {
	l := &luna1{docs: map[string][]*document{}, byID: map[string]*document{}, nets: map[string]*blueprint.Network{},
		cards: map[string]map[string]string{}, macs: map[string][]string{}, used: map[string]map[netip.Addr]bool{}}
	for _, f := range files {
		if err := l.read(f); err != nil {
			return nil, err
		}
	}
	if len(l.docs) == 0 {
		return nil, fault.Invalidf("there are no documents: give the output of mongoexport of %s, in files of these names", strings.Join(collections, ", "))
	}
	do := map[string]func(*document){"network": l.network, "osimage": l.osimage, "bmcsetup": l.bmcsetup, "switch": l.netswitch,
		"otherdev": l.otherdev, "group": l.group, "mac": l.mac, "node": l.node, "cluster": l.cluster}
	for _, c := range append(collections[1:], collections[0]) { // the cluster's range needs its network
		for _, d := range l.docs[c] {
			do[c](d)
			l.others(d)
		}
	}
	l.reserve()
	for _, d := range l.docs["network"] {
		if n := l.nets[d.id]; n != nil {
			l.Networks = append(l.Networks, *n)
		}
	}
	return &l.Taken, nil
}

// read takes the documents of a file.
func (l *luna1) read(f File) error {
	c := collectionOf(f.Name)
	if c == "" {
		return fault.Invalidf("%s: name the file like its collection: one of %s", f.Name, strings.Join(collections, ", "))
	}
	docs, err := documents(c, f)
	if err != nil {
		return err
	}
	l.docs[c] = append(l.docs[c], docs...)
	for _, d := range docs {
		l.byID[c+" "+d.id] = d
	}
	return nil
}

// others says which fields of a document nobody asked for.
func (l *luna1) others(d *document) {
	for _, name := range slices.Sorted(keys(d.fields)) {
		if d.asked[name] || strings.HasPrefix(name, "_") || empty(d.fields[name]) {
			continue
		}
		why := "Luna has no field for it"
		switch name {
		case "torrent", "tarball", "kernfile", "initrdfile":
			why = "images are packed anew: luna osimage pack " + d.name()
		case "status":
			why = "boots are told by luna boot show"
		}
		l.leave(d.String(), "field "+name, "%s", why)
	}
}

// refer returns the document that a field refers to; nil when there is none.
func (l *luna1) refer(d *document, field string, value any, collection string) *document {
	id := refID(value)
	if id == "" {
		return nil
	}
	to := l.byID[collection+" "+id]
	if to == nil {
		l.leave(d.String(), "field "+field, "it refers to a %s that is not in the files", collection)
	}
	return to
}

// address returns an address of a network: a whole number, or one counted from
// the beginning of the network, or a text.
func (l *luna1) address(d *document, field string, net *document, value any) (addr netip.Addr, ok bool) {
	if empty(value) || net == nil || l.nets[net.id] == nil {
		return addr, false
	}
	p, err := netip.ParsePrefix(l.nets[net.id].Network)
	if err == nil {
		addr, err = addressIn(p, value)
	}
	if err != nil {
		l.leave(d.String(), "field "+field, "%v is no address of network %s", value, net.name())
		return addr, false
	}
	if l.used[net.id] == nil {
		l.used[net.id] = map[netip.Addr]bool{}
	}
	l.used[net.id][addr] = true
	return addr, true
}

func (l *luna1) cluster(d *document) {
	number := func(name string) *uint32 {
		if n, ok := d.number(name); ok {
			u := uint32(n)
			return &u
		}
		return nil
	}
	c := &blueprint.Cluster{FrontendAddress: d.text("frontend_address"), Nodeprefix: d.texts("nodeprefix"), Nodedigits: number("nodedigits"),
		Path: d.texts("path"), User: d.texts("user"), FrontendPort: number("frontend_port"), ServerPort: number("server_port"),
		TrackerInterval: number("tracker_interval"), TrackerMinInterval: number("tracker_min_interval"), TrackerMaxpeers: number("tracker_maxpeers"),
		TorrentListenPortMin: number("torrent_listen_port_min"), TorrentListenPortMax: number("torrent_listen_port_max"),
		ClusterIps: d.list("cluster_ips"), Comment: d.text("comment")}
	l.Cluster = c
	d.text("name")
	net := l.refer(d, "dhcp_net", d.any("dhcp_net"), "network")
	start, hasStart := l.address(d, "dhcp_range_start", net, d.any("dhcp_range_start"))
	end, hasEnd := l.address(d, "dhcp_range_end", net, d.any("dhcp_range_end"))
	if hasStart && hasEnd {
		l.nets[net.id].DhcpRange = &blueprint.Range{Start: start.String(), End: end.String()}
	}
}

func (l *luna1) network(d *document) {
	p, err := d.prefix()
	if err != nil {
		l.leave(d.String(), "the network", "%v", err)
		return
	}
	n := &blueprint.Network{Place: place(d.name()), Network: p.String(), NsHostname: d.text("ns_hostname"), Include: d.text("include"),
		RevInclude: d.text("rev_include"), Comment: d.text("comment")}
	l.nets[d.id] = n
	d.any("version")
	d.any("freelist")
	if a, ok := l.address(d, "ns_ip", d, d.any("ns_ip")); ok {
		n.NsIP = a.String()
	}
}

func (l *luna1) osimage(d *document) {
	l.Osimages = append(l.Osimages, blueprint.Osimage{Place: place(d.name()), Path: d.text("path"), Kernver: d.text("kernver"), Kernopts: d.text("kernopts"),
		Kernmodules: d.texts("kernmodules"), Dracutmodules: d.texts("dracutmodules"), GrabFilesystems: d.texts("grab_filesystems"),
		GrabExcludeList: d.text("grab_exclude_list"), Comment: d.text("comment")})
}

func (l *luna1) bmcsetup(d *document) {
	number := func(name string) *uint32 {
		if n, ok := d.number(name); ok {
			u := uint32(n)
			return &u
		}
		return nil
	}
	l.Bmcsetups = append(l.Bmcsetups, blueprint.Bmcsetup{Place: place(d.name()), User: d.texts("user"), Password: d.text("password"), Userid: number("userid"),
		Netchannel: number("netchannel"), Mgmtchannel: number("mgmtchannel"), Comment: d.text("comment")})
}

func (l *luna1) netswitch(d *document) {
	s := blueprint.Switch{Place: place(d.name()), Read: d.text("read"), Rw: d.text("rw"), Comment: d.text("comment")}
	if oid := d.text("oid"); oid != "" {
		s.Oid = &oid
	}
	net := l.refer(d, "network", d.any("network"), "network")
	if a, ok := l.address(d, "ip", net, d.any("ip")); ok {
		s.Network, s.IP = net.name(), a.String()
	}
	l.Switches = append(l.Switches, s)
}

func (l *luna1) otherdev(d *document) {
	o := blueprint.Otherdev{Place: place(d.name()), Comment: d.text("comment"), Addresses: map[string]string{}}
	for _, c := range values(d.any("connections")) {
		connection, _ := c.(map[string]any)
		net := l.refer(d, "connections", connection["network"], "network")
		if a, ok := l.address(d, "connections", net, connection["ip"]); ok {
			o.Addresses[net.name()] = a.String()
		}
	}
	l.Otherdevs = append(l.Otherdevs, o)
}
