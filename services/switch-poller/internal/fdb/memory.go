package fdb

import (
	"cmp"
	"slices"
	"time"
)

// Uplinks tell which ports lead to other switches: what is behind them is somewhere else.
type Uplinks struct {
	// Named are their names or numbers.
	Named []string
	// Most is how many MACs a port may have and still be one machine's.
	Most int
}

// Learned is a MAC at its port.
type Learned struct {
	MAC  MAC
	Port Port
	// VLANs are those in which it is at that port, ascending.
	VLANs []uint32
}

// Memory knows since when each entry of one switch is at its port. The zero value remembers nothing.
type Memory struct{ at map[spot]time.Time }

type spot struct {
	mac        MAC
	vlan, port uint32
}

// candidate is a port that a MAC may be at.
type candidate struct {
	port    uint32
	since   time.Time
	before  bool // it was there at the last look
	crowd   int  // MACs on the port
	vlanIDs []uint32
}

// Settle returns one port for each MAC that is not behind an uplink. Of several the newest counts: the others are leftovers
// in other VLANs. Where all are as old, it stays where before has it; else it is on the port with fewer MACs.
func (m *Memory) Settle(t *Table, up Uplinks, before func(MAC) uint32, now time.Time) []Learned {
	m.remember(t, now)
	crowd := t.crowds()
	found := map[MAC]map[uint32]*candidate{}
	for _, e := range t.Entries {
		if crowd[e.Port] > up.Most || up.leads(Port{e.Port, t.Names[e.Port]}) {
			continue
		}
		since := m.at[spot{e.MAC, e.VLAN, e.Port}]
		if found[e.MAC] == nil {
			found[e.MAC] = map[uint32]*candidate{}
		}
		c := found[e.MAC][e.Port]
		if c == nil {
			c = &candidate{port: e.Port, since: since, before: before(e.MAC) == e.Port, crowd: crowd[e.Port]}
			found[e.MAC][e.Port] = c
		}
		if since.After(c.since) {
			c.since = since
		}
		if e.VLAN != 0 {
			c.vlanIDs = append(c.vlanIDs, e.VLAN)
		}
	}
	all := make([]Learned, 0, len(found))
	for mac, ports := range found {
		c := best(ports)
		slices.Sort(c.vlanIDs)
		all = append(all, Learned{MAC: mac, Port: Port{c.port, t.Names[c.port]}, VLANs: slices.Compact(c.vlanIDs)})
	}
	slices.SortFunc(all, func(a, b Learned) int { return slices.Compare(a.MAC[:], b.MAC[:]) })
	return all
}

// remember takes the table in place of the last one.
func (m *Memory) remember(t *Table, now time.Time) {
	at := make(map[spot]time.Time, len(t.Entries))
	for _, e := range t.Entries {
		s := spot{e.MAC, e.VLAN, e.Port}
		since, known := m.at[s]
		if !known {
			since = now
		}
		at[s] = since
	}
	m.at = at
}

// crowds counts the MACs on each port.
func (t *Table) crowds() map[uint32]int {
	macs := map[uint32]map[MAC]bool{}
	for _, e := range t.Entries {
		if macs[e.Port] == nil {
			macs[e.Port] = map[MAC]bool{}
		}
		macs[e.Port][e.MAC] = true
	}
	crowd := make(map[uint32]int, len(macs))
	for port, all := range macs {
		crowd[port] = len(all)
	}
	return crowd
}

func (u Uplinks) leads(p Port) bool { return slices.ContainsFunc(u.Named, p.Is) }

func best(ports map[uint32]*candidate) *candidate {
	var first *candidate
	for _, c := range ports {
		if first == nil || compare(c, first) < 0 {
			first = c
		}
	}
	return first
}

// compare is below 0 when a is more likely to be where the MAC is.
func compare(a, b *candidate) int {
	if c := b.since.Compare(a.since); c != 0 {
		return c
	}
	if a.before != b.before {
		if a.before {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.crowd, b.crowd), cmp.Compare(a.port, b.port))
}
