package foreign

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/luna-hpc/luna/pkg/blueprint"
	"github.com/luna-hpc/luna/pkg/fault"
)

// row is one row of a table by column.
type row map[string]string

// tables are those of xCAT that are read.
var tables = []string{"nodelist", "mac", "hosts", "noderes", "networks"}

// known are the columns that are taken over.
var known = map[string][]string{"nodelist": {"node", "groups", "comments"}, "mac": {"node", "mac"}, "hosts": {"node", "ip"}, "noderes": {"node"},
	"networks": {"netname", "net", "mask", "gateway", "nameservers", "ntpservers", "mtu", "dynamicrange", "comments"}}

// xcat takes nodes over group by group: a node's group is the first of its groups.
type xcat struct {
	Taken
	tables   map[string][]row
	networks networks
	groups   map[string]*blueprint.Group
	order    []string
}

// Xcat reads tables as xCAT's tabdump writes them: CSV below a line with # and the
// names of the columns.
func Xcat(files []File) (*Taken, error) {
	x := &xcat{tables: map[string][]row{}, groups: map[string]*blueprint.Group{}}
	for _, f := range files {
		name, rows, err := table(f)
		if err != nil {
			return nil, err
		}
		x.tables[name] = append(x.tables[name], rows...)
	}
	if len(x.tables["nodelist"]) == 0 {
		return nil, fault.Invalidf("there is no table nodelist: give the output of `tabdump nodelist` too")
	}
	for _, r := range x.tables["networks"] {
		x.network(r)
	}
	names := map[string]bool{}
	for _, r := range x.tables["nodelist"] {
		names[r["node"]] = true
		x.node(r)
	}
	for _, t := range []string{"mac", "hosts", "noderes"} {
		for _, r := range x.tables[t] {
			if !names[r["node"]] && x.groups[r["node"]] == nil {
				x.leave(t+" "+r["node"], "the row", "no node and no first group of one has this name")
			}
		}
	}
	for _, g := range x.order {
		x.Groups = append(x.Groups, *x.groups[g])
	}
	x.Networks = x.networks.all
	x.leave("xcat", "anything else", "only %s are read", strings.Join(tables, ", "))
	return &x.Taken, nil
}

// table reads a file; its columns tell which table it is, or else its name does.
func table(f File) (name string, rows []row, err error) {
	head, body, _ := strings.Cut(strings.TrimLeft(string(f.Text), "\ufeff\r\n "), "\n")
	head, ok := strings.CutPrefix(strings.TrimSpace(head), "#")
	if !ok {
		return "", nil, fault.Invalidf("%s: the first line must be # and the columns, as tabdump writes it", f.Name)
	}
	columns := strings.Split(head, ",")
	base := strings.TrimSuffix(filepath.Base(f.Name), filepath.Ext(f.Name))
	if !slices.Contains(tables, base) {
		return "", nil, fault.Invalidf("%s: name the file like its table: one of %s", f.Name, strings.Join(tables, ", "))
	}
	r := csv.NewReader(strings.NewReader(body))
	r.FieldsPerRecord, r.LazyQuotes = -1, true
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return base, rows, nil
		}
		if err != nil {
			return "", nil, fault.Invalidf("%s: %w", f.Name, err)
		}
		one := row{}
		for i, v := range record {
			if i < len(columns) {
				one[strings.TrimSpace(columns[i])] = strings.TrimSpace(v)
			}
		}
		if off := one["disable"]; off != "1" && !strings.EqualFold(off, "yes") {
			rows = append(rows, one)
		}
	}
}

// others says which columns of a row are not taken over.
func (x *xcat) others(what, table string, r row, also ...string) {
	for _, column := range slices.Sorted(keys(r)) {
		if r[column] != "" && column != "disable" && !slices.Contains(known[table], column) && !slices.Contains(also, column) {
			x.leave(what, table+"."+column, "Luna has no field for it")
		}
	}
}

func (x *xcat) network(r row) {
	what := "network " + r["netname"]
	p, err := prefix(r["net"], r["mask"])
	if err != nil {
		x.leave(what, "the network", "%v", err)
		return
	}
	name := x.networks.of(p, strings.ReplaceAll(r["netname"], "_", "-"))
	n := x.networks.find(name)
	n.Comment = r["comments"]
	if a, err := netip.ParseAddr(r["gateway"]); err == nil {
		n.Gateway = a.String()
	} else if r["gateway"] != "" {
		x.leave(what, "networks.gateway", "%s is no address", r["gateway"])
	}
	n.Nameservers, n.Ntp = x.servers(what, "nameservers", r), x.servers(what, "ntpservers", r)
	if r["mtu"] != "" {
		if _, err := fmt.Sscan(r["mtu"], &n.Mtu); err != nil {
			x.leave(what, "networks.mtu", "%s is no number", r["mtu"])
		}
	}
	if start, end, ok := strings.Cut(r["dynamicrange"], "-"); ok {
		n.DhcpRange = &blueprint.Range{Start: strings.TrimSpace(start), End: strings.TrimSpace(end)}
	} else if r["dynamicrange"] != "" {
		x.leave(what, "networks.dynamicrange", "%s is no range of addresses", r["dynamicrange"])
	}
	x.others(what, "networks", r)
}

// servers are the addresses of a list; <xcatmaster> and host names are none.
func (x *xcat) servers(what, column string, r row) (all []string) {
	for _, s := range strings.FieldsFunc(r[column], func(c rune) bool { return c == ',' || c == ' ' }) {
		if a, err := netip.ParseAddr(s); err == nil {
			all = append(all, a.String())
		} else {
			x.leave(what, "networks."+column, "%s is no address", s)
		}
	}
	return all
}

// of returns a node's row of a table: its own, or else that of one of its groups.
func (x *xcat) of(table, node string, groups []string) row {
	for _, name := range append([]string{node}, groups...) {
		for _, r := range x.tables[table] {
			if r["node"] == name {
				return r
			}
		}
	}
	return nil
}

func (x *xcat) node(r row) {
	what := "node " + r["node"]
	groups := strings.FieldsFunc(r["groups"], func(c rune) bool { return c == ',' })
	if len(groups) == 0 {
		groups = []string{"all"}
	}
	n := blueprint.Node{Place: place(r["node"]), Group: groups[0], Comment: r["comments"], Addresses: map[string]blueprint.List{}}
	g := x.groups[n.Group]
	if g == nil {
		g = &blueprint.Group{Place: place(n.Group)}
		join(g, "BOOTIF", "")
		x.groups[n.Group] = g
		x.order = append(x.order, n.Group)
	}
	if len(groups) > 1 {
		x.leave(what, "nodelist.groups", "a node has one group here, %s, and not also %s", groups[0], strings.Join(groups[1:], ", "))
	}
	if mac := x.of("mac", n.Name, nil); mac != nil {
		x.mac(what, mac, &n)
		x.others(what, "mac", mac)
	}
	if host := x.of("hosts", n.Name, groups); host != nil {
		x.host(what, host, g, &n)
		x.others(what, "hosts", host)
	}
	if res := x.of("noderes", n.Name, groups); res != nil {
		x.others(what, "noderes", res)
	}
	x.others(what, "nodelist", r)
	x.Nodes = append(x.Nodes, n)
}

// mac takes the first of the MACs that are written as MAC!NAME|MAC!NAME.
func (x *xcat) mac(what string, r row, n *blueprint.Node) {
	for i, one := range strings.Split(r["mac"], "|") {
		mac, name, _ := strings.Cut(one, "!")
		if mac = strings.TrimSpace(mac); mac == "" {
			continue
		}
		if i > 0 || name != "" && name != n.Name && name != "*NOIP*" {
			x.leave(what, "mac.mac", "%s is not that of the card that the node boots from", one)
			continue
		}
		n.Mac = &mac
	}
}

func (x *xcat) host(what string, r row, g *blueprint.Group, n *blueprint.Node) {
	ip := r["ip"]
	if strings.HasPrefix(ip, "|") {
		x.leave(what, "hosts.ip", "the pattern %s is not worked out: the node gets a free address", ip)
		return
	}
	first, more, _ := strings.Cut(ip, "|")
	if more != "" {
		x.leave(what, "hosts.ip", "%s is a second address", more)
	}
	if first == "" {
		return
	}
	a, err := netip.ParseAddr(first)
	if err != nil {
		x.leave(what, "hosts.ip", "%s is no address", first)
		return
	}
	network, ok := x.networks.holding(a)
	if !ok {
		x.leave(what, "hosts.ip", "%s is in none of the networks: give the table networks too", a)
		return
	}
	if join(g, "BOOTIF", network); len((*g.Interfaces)[0].Networks) > 1 && (*g.Interfaces)[0].Networks[0] != network {
		(*g.Interfaces)[0].Networks = slices.DeleteFunc((*g.Interfaces)[0].Networks, func(s string) bool { return s == network })
		x.leave(what, "hosts.ip", "%s is in network %s, and other nodes of group %s are in %s", a, network, g.Name, (*g.Interfaces)[0].Networks[0])
		return
	}
	n.Addresses["BOOTIF"] = blueprint.List{a.String()}
}
