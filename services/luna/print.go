package luna

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"go.yaml.in/yaml/v4"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// print writes a message as JSON or YAML.
func (a *app) print(m proto.Message) error {
	data, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return err
	}
	return a.printJSON(data)
}

func (a *app) printJSON(data []byte) error {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	switch a.output {
	case "json":
		enc := json.NewEncoder(a.out)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	case "yaml":
		out, err := yaml.Marshal(v)
		if err != nil {
			return err
		}
		_, err = a.out.Write(out)
		return err
	}
	return fault.Invalidf("output %q is not table, json or yaml", a.output)
}

// newTable returns a table that writes to the command's output.
func (a *app) newTable(columns ...any) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(a.out)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(columns)
	return t
}

// printObject writes every field of an object, references by name.
func (a *app) printObject(o *inventoryv1.Object, names map[string]string) error {
	if a.output != "table" {
		return a.print(o)
	}
	_, m := catalog.Unwrap(o)
	t := a.newTable("field", "value")
	r := m.ProtoReflect()
	fields := r.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.Name() == "id" {
			continue
		}
		t.AppendRow(table.Row{strings.TrimSuffix(string(f.Name()), "_id"), valueText(f, r.Get(f), names)})
		t.AppendSeparator()
	}
	t.AppendRow(table.Row{"revision", o.Sequence})
	t.Render()
	return nil
}

func valueText(f protoreflect.FieldDescriptor, v protoreflect.Value, names map[string]string) string {
	switch {
	case f.IsList():
		var parts []string
		for i := range v.List().Len() {
			parts = append(parts, oneText(f, v.List().Get(i), names))
		}
		return strings.Join(parts, "\n")
	case f.Kind() == protoreflect.MessageKind && !v.Message().IsValid():
		return ""
	}
	return oneText(f, v, names)
}

func oneText(f protoreflect.FieldDescriptor, v protoreflect.Value, names map[string]string) string {
	switch f.Kind() {
	case protoreflect.BoolKind:
		if v.Bool() {
			return "yes"
		}
		return "no"
	case protoreflect.MessageKind:
		return messageText(v.Message().Interface(), names)
	}
	s := v.String()
	if !strings.HasSuffix(string(f.Name()), "_id") {
		return s
	}
	if n := names[s]; n != "" {
		return n
	}
	return stars(s) // a secret: nothing else has no name
}

func messageText(m proto.Message, names map[string]string) string {
	switch m := m.(type) {
	case *inventoryv1.Interface:
		return interfaceText(m, names)
	case *inventoryv1.NodeAddress:
		return fmt.Sprintf("%s %s (%s)", m.Interface, m.Address, names[m.NetworkId])
	case *inventoryv1.OtherdevAddress:
		return fmt.Sprintf("%s (%s)", m.Address, names[m.NetworkId])
	case *inventoryv1.AddressRange:
		return m.Start + " - " + m.End
	}
	return fmt.Sprint(m)
}

func interfaceText(i *inventoryv1.Interface, names map[string]string) string {
	parts := []string{i.Name}
	for _, id := range i.NetworkIds {
		parts = append(parts, names[id])
	}
	switch {
	case i.GetBond() != nil:
		parts = append(parts, fmt.Sprintf("bond of %s (%s)", strings.Join(i.GetBond().Members, ", "), i.GetBond().Mode))
	case i.GetVlan() != nil:
		parts = append(parts, fmt.Sprintf("VLAN %d of %s", i.GetVlan().Tag, i.GetVlan().Parent))
	case i.GetBridge() != nil:
		parts = append(parts, fmt.Sprintf("bridge of %s", strings.Join(i.GetBridge().Ports, ", ")))
	}
	if i.Mtu > 0 {
		parts = append(parts, fmt.Sprintf("MTU %d", i.Mtu))
	}
	return strings.Join(append(parts, strings.Fields(i.Options)...), " ")
}

// printList writes one row an object.
func (a *app) printList(noun catalog.Noun, all []*inventoryv1.Object, names map[string]string, one bool) error {
	if a.output != "table" {
		return a.print(&inventoryv1.ListReply{Objects: all})
	}
	t := a.newTable(columns[noun]...)
	for _, o := range all {
		if one {
			_, m := catalog.Unwrap(o)
			fmt.Fprintln(a.out, catalog.NameOf(m))
			continue
		}
		t.AppendRow(row(o, names))
	}
	if !one {
		t.Render()
	}
	return nil
}

var columns = map[catalog.Noun][]any{
	catalog.Network:  {"name", "network", "gateway", "DHCP range", "comment"},
	catalog.Osimage:  {"name", "path", "kernel", "options", "comment"},
	catalog.Bmcsetup: {"name", "protocol", "user", "userid", "netchannel", "mgmtchannel", "required", "comment"},
	catalog.Otherdev: {"name", "addresses", "comment"},
	catalog.Switch:   {"name", "network", "ip", "version", "community", "oid", "uplinks", "comment"},
	catalog.Group:    {"name", "osimage", "bmcsetup", "interfaces", "domain", "comment"},
	catalog.Node:     {"name", "group", "mac", "addresses", "switch", "port", "localboot", "service", "comment"},
}

func row(o *inventoryv1.Object, names map[string]string) table.Row {
	switch {
	case o.GetNetwork() != nil:
		n := o.GetNetwork()
		r := ""
		if n.DhcpRange != nil {
			r = messageText(n.DhcpRange, nil)
		}
		return table.Row{n.Name, n.Cidr, n.Gateway, r, n.Comment}
	case o.GetOsimage() != nil:
		i := o.GetOsimage()
		return table.Row{i.Name, i.Path, i.Kernver, i.Kernopts, i.Comment}
	case o.GetGroup() != nil:
		g := o.GetGroup()
		var ifs []string
		for _, i := range g.Interfaces {
			ifs = append(ifs, messageText(i, names))
		}
		return table.Row{g.Name, names[g.OsimageId], names[g.BmcsetupId], strings.Join(ifs, "\n"), g.Domain, g.Comment}
	case o.GetBmcsetup() != nil:
		b := o.GetBmcsetup()
		return table.Row{b.Name, b.Protocol, b.User, b.Userid, b.Netchannel, b.Mgmtchannel, yes(b.Required), b.Comment}
	case o.GetOtherdev() != nil:
		var as []string
		for _, x := range o.GetOtherdev().Addresses {
			as = append(as, messageText(x, names))
		}
		return table.Row{o.GetOtherdev().Name, strings.Join(as, "\n"), o.GetOtherdev().Comment}
	case o.GetSwitch() != nil:
		s := o.GetSwitch()
		return table.Row{s.Name, names[s.NetworkId], s.Ip, s.Version, stars(s.ReadId), s.Oid, strings.Join(s.Uplinks, ", "), s.Comment}
	}
	n := o.GetNode()
	var as []string
	for _, x := range n.GetAddresses() {
		as = append(as, messageText(x, names))
	}
	return table.Row{n.GetName(), names[n.GetGroupId()], n.GetMac(), strings.Join(as, "\n"), names[n.GetSwitchId()], n.GetPort(), yes(n.GetLocalboot()), yes(n.GetService()), n.GetComment()}
}

// stars stands for a secret that is set.
func stars(id string) string {
	if id == "" {
		return ""
	}
	return "***"
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}
