package fdb

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tables is a switch without a network: its rows by table.
type tables map[string][]Row

func (s tables) Walk(_ context.Context, table string, do func(Row)) error {
	for _, r := range s[table] {
		if err, broken := r.Value.(error); broken {
			return err
		}
		do(r)
	}
	return nil
}

var macA, macB = MAC{0x52, 0x54, 0, 0, 0, 1}, MAC{0x52, 0x54, 0, 0, 0, 2}

// at is the row of a MAC, of a FDB when it is not 0.
func at(fdb uint32, m MAC, v any) Row {
	r := Row{Value: v}
	if fdb != 0 {
		r.Index = append(r.Index, fdb)
	}
	for _, b := range m {
		r.Index = append(r.Index, uint32(b))
	}
	return r
}

func row(v any, index ...uint32) Row { return Row{Index: index, Value: v} }

func TestIndex(t *testing.T) {
	for text, test := range map[string]struct {
		index []uint32
		fdb   uint32
		mac   string
	}{
		"FDB and MAC":     {[]uint32{10, 82, 84, 0, 0, 0, 1}, 10, "52:54:00:00:00:01"},
		"FDB of 32 bits":  {[]uint32{1 << 31, 82, 84, 0, 0, 0, 1}, 1 << 31, "52:54:00:00:00:01"},
		"MAC alone":       {[]uint32{82, 84, 0, 0, 0, 255}, 0, "52:54:00:00:00:ff"},
		"too short":       {[]uint32{84, 0, 0, 0, 1}, 0, ""},
		"too long":        {[]uint32{1, 1, 82, 84, 0, 0, 0, 1}, 0, ""},
		"no byte":         {[]uint32{1, 256, 84, 0, 0, 0, 1}, 0, ""},
		"multicast":       {[]uint32{1, 1, 0, 94, 0, 0, 251}, 0, ""},
		"broadcast":       {[]uint32{255, 255, 255, 255, 255, 255}, 0, ""},
		"zeros":           {[]uint32{0, 0, 0, 0, 0, 0}, 0, ""},
		"nothing":         {nil, 0, ""},
		"a byte too much": {[]uint32{82, 84, 0, 0, 0, 4294967295}, 0, ""},
	} {
		fdb, mac, ok := parseIndex(test.index)
		if ok != (test.mac != "") || (ok && (fdb != test.fdb || mac.String() != test.mac)) {
			t.Errorf("%s: %d %s %v", text, fdb, mac, ok)
		}
	}
}

func TestValues(t *testing.T) {
	for _, v := range []any{7, uint(7), uint32(7)} {
		if n, ok := number(v); !ok || n != 7 {
			t.Errorf("%T: %d %v", v, n, ok)
		}
	}
	for _, v := range []any{0, -1, 1 << 31, uint(1 << 63), uint32(1 << 31), uint64(7), "7", []byte("7"), nil} {
		if n, ok := number(v); ok {
			t.Errorf("%T %v is taken for port %d", v, v, n)
		}
	}
	for in, want := range map[string]string{
		"ge-0/0/7": "ge-0/0/7", " Te1/1\x00": "Te1/1", "a\xffb\nc": "abc", "Порт 3": "Порт 3", "\x00\x01": "", strings.Repeat("ü", 99): strings.Repeat("ü", 64),
	} {
		if got := label([]byte(in)); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
	if got := label(5); got != "" {
		t.Error(got)
	}
	p := Port{7, "ge3"}
	for word, want := range map[string]bool{"ge3": true, "7": true, "07": false, "3": false, "": false} {
		if p.Is(word) != want {
			t.Errorf("%q", word)
		}
	}
	if (Port{Number: 7}).Is("") {
		t.Error("a port without a name has every name")
	}
}

// ports 5, 6 and 7 are interfaces 105, 106 and 107; the second has an old name only, the third none.
var names = tables{
	BasePort: {row(105, 5), row(106, 6), row(107, 7), row(109, 9), row("x", 5), row(108, 5, 5)},
	IfName:   {row([]byte("ge2"), 105), row([]byte(""), 106), row([]byte("ge9"), 109)},
	IfDescr:  {row([]byte("other"), 105), row([]byte("Slot 1 Port 3"), 106), row(1, 107)},
}

func with(more tables) tables {
	all := tables{}
	for _, some := range []tables{names, more} {
		for table, rows := range some {
			all[table] = rows
		}
	}
	return all
}

func TestRead(t *testing.T) {
	const own = ".1.3.6.1.4.1.9999.1"
	for name, test := range map[string]struct {
		oid   string
		on    tables
		want  []Entry
		names map[uint32]string
	}{
		"Q-BRIDGE": {"", with(tables{QBridgePort: {at(10, macA, 5), at(20, macA, 5), at(10, macB, 6)},
			BridgePort: {at(0, macA, 7)}}),
			[]Entry{{macA, 10, 5}, {macA, 20, 5}, {macB, 10, 6}}, map[uint32]string{5: "ge2", 6: "Slot 1 Port 3"}},
		"FDB ids that are no VLANs": {QBridgePort, with(tables{QBridgePort: {at(900, macA, 5), at(901, macB, 5)},
			QBridgeVLAN: {row(uint(900), 0, 17), row(uint(900), 99, 17), row(901, 0, 18), row(901, 0, 19), row(900, 3), row(nil, 0, 4)}}),
			[]Entry{{macA, 17, 5}, {macB, 901, 5}}, map[uint32]string{5: "ge2"}},
		"not learned": {QBridgePort, with(tables{QBridgePort: {at(1, macA, 5), at(2, macA, 6), at(3, macA, 5), at(4, macA, 5), at(5, macA, 5)},
			QBridgeStatus: {at(1, macA, 3), at(2, macA, 4), at(3, macA, 5), at(4, macA, 2), at(6, macA, 3)}}),
			[]Entry{{macA, 1, 5}}, map[uint32]string{5: "ge2"}},
		"all are the switch's own": {QBridgePort, with(tables{QBridgePort: {at(1, macA, 5)}, QBridgeStatus: {at(1, macA, 4)}}),
			[]Entry{}, map[uint32]string{}},
		"port 0": {QBridgePort, with(tables{QBridgePort: {at(1, macA, 0), at(1, macB, 7)}, BridgePort: {at(0, macA, 5)}}),
			[]Entry{{macB, 1, 7}}, map[uint32]string{}},
		"Q-BRIDGE has no port at all": {QBridgePort, with(tables{QBridgePort: {at(1, macA, 0)}, BridgePort: {at(0, macA, 5)}}),
			[]Entry{}, map[uint32]string{}},
		"BRIDGE behind an empty Q-BRIDGE": {"1.3.6.1.2.1.17.7.1.2.2.1.2", with(tables{BridgePort: {at(0, macA, 5), at(0, macB, 6)}, BridgeStatus: {at(0, macA, 3), at(0, macB, 4)}}),
			[]Entry{{macA, 0, 5}}, map[uint32]string{5: "ge2"}},
		"BRIDGE asked for": {BridgePort, with(tables{QBridgePort: {at(1, macB, 6)}, BridgePort: {at(0, macA, 5)}}),
			[]Entry{{macA, 0, 5}}, map[uint32]string{5: "ge2"}},
		"the operator's table": {own, with(tables{own: {at(7, macA, 5), at(0, macB, uint(6)), row(5, 1, 2)}, QBridgeStatus: {at(7, macA, 4)},
			QBridgeVLAN: {row(7, 0, 70)}}),
			[]Entry{{macA, 7, 5}, {macB, 0, 6}}, map[uint32]string{5: "ge2", 6: "Slot 1 Port 3"}},
		"the operator's table is empty": {own, with(tables{QBridgePort: {at(1, macA, 5)}, BridgePort: {at(0, macA, 5)}}), nil, map[uint32]string{}},
		"nothing":                       {"", tables{}, nil, map[uint32]string{}},
		"wrong types":                   {"", tables{QBridgePort: {at(1, macA, []byte("5")), at(1, macB, nil), row(5)}}, []Entry{}, map[uint32]string{}},
		"no names":                      {"", tables{QBridgePort: {at(1, macA, 5)}}, []Entry{{macA, 1, 5}}, map[uint32]string{}},
	} {
		got, err := Read(t.Context(), test.on, test.oid)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(&Table{test.want, test.names}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestNoTableOfARoundThatFailed(t *testing.T) {
	broken := errors.New("broken")
	for _, table := range []string{QBridgePort, QBridgeStatus, QBridgeVLAN, BasePort, IfName, IfDescr} {
		on := with(tables{QBridgePort: {at(1, macA, 5), at(1, macB, 7)}, QBridgeStatus: {at(1, macA, 3), at(1, macB, 3)}})
		on[table] = append(slices.Clone(on[table]), Row{Value: broken})
		if _, err := Read(t.Context(), on, ""); !errors.Is(err, broken) {
			t.Errorf("%s: %v", table, err)
		}
	}
}

// FuzzRead makes rows of bytes, of all tables and types, and looks whether what comes out can be told.
func FuzzRead(f *testing.F) {
	f.Add([]byte("\x00\x07\x0a\x52\x54\x00\x00\x00\x01\x00\x05\x01\x07\x0a\x52\x54\x00\x00\x00\x01\x00\x03"))
	f.Add([]byte("\x03\x06\x52\x54\x00\x00\x00\x01\x01\x05\x05\x01\x05\x00\x69\x06\x01\x69\x03ge1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		on := fuzzed(data)
		table, err := Read(t.Context(), on, "")
		if err != nil {
			t.Fatal(err)
		}
		var m Memory
		for _, l := range m.Settle(table, Uplinks{Named: []string{"3"}, Most: 2}, func(MAC) uint32 { return 1 }, noon) {
			if !l.MAC.card() || l.Port.Number == 0 || l.Port.Number == 3 || len(l.Port.Name) > 4*longest || l.Port.Name != label([]byte(l.Port.Name)) || !slices.IsSorted(l.VLANs) {
				t.Fatalf("%+v", l)
			}
		}
	})
}

func fuzzed(data []byte) tables {
	all := []string{QBridgePort, QBridgeStatus, QBridgeVLAN, BridgePort, BridgeStatus, BasePort, IfName, IfDescr}
	on := tables{}
	next := func() (b byte) {
		if len(data) > 0 {
			b, data = data[0], data[1:]
		}
		return b
	}
	for len(data) > 0 {
		table := all[int(next())%len(all)]
		var r Row
		for range next() % 9 {
			r.Index = append(r.Index, uint32(next()))
		}
		switch kind := next() % 6; kind {
		case 0:
			r.Value = int(int8(next()))
		case 1:
			r.Value = uint(next())
		case 2:
			r.Value = uint32(next())
		case 4:
			r.Value = uint64(next())
		case 3, 5:
			n := min(int(next()), len(data))
			r.Value, data = data[:n], data[n:]
		}
		on[table] = append(on[table], r)
	}
	return on
}
