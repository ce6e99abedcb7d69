package fdb

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// told writes what was learned as MAC-number@name/number/vlans.
func told(all []Learned) string {
	var parts []string
	for _, l := range all {
		parts = append(parts, fmt.Sprintf("%d@%s/%d/%v", l.MAC[5], l.Port.Name, l.Port.Number, l.VLANs))
	}
	return strings.Join(parts, " ")
}

func nowhere(MAC) uint32 { return 0 }

func TestUplinks(t *testing.T) {
	table := &Table{Names: map[uint32]string{1: "ge9", 2: "Te1/1", 3: "ge1", 4: "1"}}
	add := func(port uint32, macs ...byte) {
		for _, m := range macs {
			for vlan := range uint32(2) { // a MAC in two VLANs is one
				table.Entries = append(table.Entries, Entry{MAC{0x52, 0x54, 0, 0, 0, m}, 10 * (vlan + 1), port})
			}
		}
	}
	add(1, 1, 2)
	add(2, 3)
	add(3, 4, 5, 6)
	for _, test := range []struct {
		up   Uplinks
		want string
	}{
		{Uplinks{Most: 3}, "1@ge9/1/[10 20] 2@ge9/1/[10 20] 3@Te1/1/2/[10 20] 4@ge1/3/[10 20] 5@ge1/3/[10 20] 6@ge1/3/[10 20]"},
		{Uplinks{Most: 2}, "1@ge9/1/[10 20] 2@ge9/1/[10 20] 3@Te1/1/2/[10 20]"},
		{Uplinks{Most: 1}, "3@Te1/1/2/[10 20]"},
		{Uplinks{Most: 3, Named: []string{"Te1/1", "1"}}, "4@ge1/3/[10 20] 5@ge1/3/[10 20] 6@ge1/3/[10 20]"},
		{Uplinks{Most: 3, Named: []string{"te1/1", "ge", "03", "ge1"}}, "1@ge9/1/[10 20] 2@ge9/1/[10 20] 3@Te1/1/2/[10 20]"},
	} {
		var m Memory
		if got := told(m.Settle(table, test.up, nowhere, noon)); got != test.want {
			t.Errorf("%+v:\n got %s\nwant %s", test.up, got, test.want)
		}
	}
	add(1, 7) // what is behind an uplink and on a port of its own is on that port
	add(2, 7)
	var m Memory
	if got := told(m.Settle(table, Uplinks{Most: 2}, nowhere, noon)); got != "3@Te1/1/2/[10 20] 7@Te1/1/2/[10 20]" {
		t.Error(got)
	}
}

// TestOneOfSeveralPorts goes through rounds, each with the ports that a MAC has in VLANs 1, 2, 3, …; 0 is none.
func TestOneOfSeveralPorts(t *testing.T) {
	for name, test := range map[string]struct {
		before uint32
		rounds [][]uint32
		want   string
	}{
		"one VLAN":                        {0, [][]uint32{{5}}, "5[1]"},
		"a second VLAN":                   {0, [][]uint32{{5}, {5, 5}}, "5[1] 5[1 2]"},
		"a move":                          {0, [][]uint32{{5}, {7}, {7}}, "5[1] 7[1] 7[1]"},
		"a move with a leftover":          {0, [][]uint32{{5, 5}, {5, 7}, {5, 7}}, "5[1 2] 7[2] 7[2]"},
		"there and back":                  {0, [][]uint32{{5, 5}, {7, 5}, {7, 6}, {5, 6}}, "5[1 2] 7[1] 6[2] 5[1]"},
		"a leftover that goes":            {0, [][]uint32{{5, 5}, {5, 7}, {0, 7}}, "5[1 2] 7[2] 7[2]"},
		"it came back after it was away":  {0, [][]uint32{{5, 7}, {0, 7}, {5, 7}}, "5[1] 7[2] 5[1]"},
		"the first round knows no better": {0, [][]uint32{{7, 5}}, "5[2]"},
		"the first round knows the bus":   {7, [][]uint32{{7, 5}, {7, 5}}, "7[1] 7[1]"},
		"what is newer beats the bus":     {7, [][]uint32{{7}, {7, 5}}, "7[1] 5[2]"},
		"gone":                            {7, [][]uint32{{7}, {}}, "7[1] -"},
	} {
		var m Memory
		var got []string
		for round, ports := range test.rounds {
			table := &Table{}
			for i, p := range ports {
				if p != 0 {
					table.Entries = append(table.Entries, Entry{macA, uint32(i + 1), p})
				}
			}
			all := m.Settle(table, Uplinks{Most: 9}, func(MAC) uint32 { return test.before }, noon.Add(time.Duration(round)*time.Minute))
			switch len(all) {
			case 0:
				got = append(got, "-")
			case 1:
				got = append(got, fmt.Sprintf("%d%v", all[0].Port.Number, all[0].VLANs))
			default:
				t.Fatalf("%s: one MAC is told %d times", name, len(all))
			}
		}
		if s := strings.Join(got, " "); s != test.want {
			t.Errorf("%s: got %s, want %s", name, s, test.want)
		}
	}
}

func TestFewerNeighboursAreLikelier(t *testing.T) {
	table := &Table{Entries: []Entry{{macA, 1, 5}, {macB, 1, 5}, {macA, 2, 7}}}
	var m Memory
	if got := told(m.Settle(table, Uplinks{Most: 9}, nowhere, noon)); got != "1@/7/[2] 2@/5/[1]" {
		t.Error(got)
	}
}
