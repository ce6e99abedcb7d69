package fdb

import (
	"context"
	"strings"
)

// Entry is a MAC that was learned on a port.
type Entry struct {
	MAC MAC
	// VLAN is that of the entry, or the FDB's id when that stands for no one VLAN; 0 where the table has none.
	VLAN uint32
	Port uint32
}

// Table is what a switch has learned.
type Table struct {
	Entries []Entry
	// Names are those of the ports that have entries.
	Names map[uint32]string
}

// forwarding is a table with its companion that tells where entries are from; empty when there is none.
type forwarding struct{ ports, status string }

var (
	qBridge = forwarding{QBridgePort, QBridgeStatus}
	bridge  = forwarding{BridgePort, BridgeStatus}
)

// Read asks a switch for a forwarding table. Where Q-BRIDGE's is asked for and empty, BRIDGE's is read:
// switches without VLANs have that alone.
func Read(ctx context.Context, w Walker, oid string) (*Table, error) {
	f := of(oid)
	entries, err := f.read(ctx, w)
	if err == nil && entries == nil && f == qBridge {
		f = bridge
		entries, err = f.read(ctx, w)
	}
	if err == nil && len(entries) > 0 {
		entries, err = f.learned(ctx, w, entries)
	}
	t := &Table{Entries: entries, Names: map[uint32]string{}}
	if err == nil && len(entries) > 0 && f == qBridge {
		err = t.translate(ctx, w)
	}
	if err == nil && len(entries) > 0 {
		err = t.name(ctx, w)
	}
	return t, err
}

// of returns a table by its OID; none is Q-BRIDGE's.
func of(oid string) forwarding {
	switch oid = "." + strings.TrimPrefix(oid, "."); oid {
	case ".", qBridge.ports:
		return qBridge
	case bridge.ports:
		return bridge
	}
	return forwarding{ports: oid}
}

// read returns the entries that have a port; nil when the table has no row at all.
func (f forwarding) read(ctx context.Context, w Walker) (entries []Entry, err error) {
	err = w.Walk(ctx, f.ports, func(r Row) {
		if entries == nil {
			entries = []Entry{}
		}
		fdb, mac, ok := parseIndex(r.Index)
		if port, has := number(r.Value); ok && has {
			entries = append(entries, Entry{MAC: mac, VLAN: fdb, Port: port})
		}
	})
	return entries, err
}

// learned keeps the entries that the switch says it has learned. Without a table of status all are kept; with one an entry that
// is missing there came or went meanwhile, and is left to the next round.
func (f forwarding) learned(ctx context.Context, w Walker, entries []Entry) ([]Entry, error) {
	if f.status == "" {
		return entries, nil
	}
	type place struct {
		fdb uint32
		mac MAC
	}
	good, rows := map[place]bool{}, 0
	err := w.Walk(ctx, f.status, func(r Row) {
		rows++
		fdb, mac, ok := parseIndex(r.Index)
		if status, has := number(r.Value); ok && has && status == learned {
			good[place{fdb, mac}] = true
		}
	})
	if err != nil || rows == 0 {
		return entries, err
	}
	kept := entries[:0]
	for _, e := range entries {
		if good[place{e.VLAN, e.MAC}] {
			kept = append(kept, e)
		}
	}
	return kept, nil
}

// translate puts VLANs in the place of FDB ids that stand for exactly one.
func (t *Table) translate(ctx context.Context, w Walker) error {
	vlans := map[uint32]uint32{} // FDB id → its VLAN, 0 when there are several
	err := w.Walk(ctx, QBridgeVLAN, func(r Row) {
		fdb, ok := number(r.Value)
		if !ok || len(r.Index) != 2 {
			return
		}
		vlan := r.Index[1]
		if old, known := vlans[fdb]; known && old != vlan {
			vlan = 0
		}
		vlans[fdb] = vlan
	})
	for i, e := range t.Entries {
		if vlan := vlans[e.VLAN]; vlan != 0 {
			t.Entries[i].VLAN = vlan
		}
	}
	return err
}

// name finds the names of the ports that have entries.
func (t *Table) name(ctx context.Context, w Walker) error {
	used := map[uint32]bool{}
	for _, e := range t.Entries {
		used[e.Port] = true
	}
	ports := map[uint32][]uint32{} // interface → its bridge ports
	err := w.Walk(ctx, BasePort, func(r Row) {
		if index, ok := number(r.Value); ok && len(r.Index) == 1 && used[r.Index[0]] {
			ports[index] = append(ports[index], r.Index[0])
		}
	})
	for _, column := range []string{IfName, IfDescr} {
		if err != nil || len(ports) == 0 {
			break
		}
		err = w.Walk(ctx, column, func(r Row) {
			text := label(r.Value)
			if len(r.Index) != 1 || text == "" {
				return
			}
			for _, p := range ports[r.Index[0]] {
				t.Names[p] = text
			}
			delete(ports, r.Index[0])
		})
	}
	return err
}
