// Package fdb is what a switch says of its forwarding table: rows of the bridge's tables, turned into one port for each MAC.
package fdb

import (
	"context"
	"encoding/hex"
	"net"
	"strconv"
	"strings"
	"unicode"
)

// Tables of a switch, as roots of their columns.
const (
	// QBridgePort is dot1qTpFdbPort (RFC 4363): FDB id and MAC → bridge port.
	QBridgePort = ".1.3.6.1.2.1.17.7.1.2.2.1.2"
	// QBridgeStatus is dot1qTpFdbStatus.
	QBridgeStatus = ".1.3.6.1.2.1.17.7.1.2.2.1.3"
	// QBridgeVLAN is dot1qVlanFdbId: time mark and VLAN → FDB id.
	QBridgeVLAN = ".1.3.6.1.2.1.17.7.1.4.2.1.3"
	// BridgePort is dot1dTpFdbPort (RFC 4188): MAC → bridge port.
	BridgePort = ".1.3.6.1.2.1.17.4.3.1.2"
	// BridgeStatus is dot1dTpFdbStatus.
	BridgeStatus = ".1.3.6.1.2.1.17.4.3.1.3"
	// BasePort is dot1dBasePortIfIndex: bridge port → interface.
	BasePort = ".1.3.6.1.2.1.17.1.4.1.2"
	// IfName is ifName (RFC 2863): interface → name.
	IfName = ".1.3.6.1.2.1.31.1.1.1.1"
	// IfDescr is ifDescr: interface → what older switches have for a name.
	IfDescr = ".1.3.6.1.2.1.2.2.1.2"
)

// learned is the status of an entry that came from a frame (RFC 4188, dot1dTpFdbStatus).
const learned = 3

// longest is how many characters of a port's name are kept.
const longest = 64

// Row is one value of a table: the numbers of its index, and what stands there
// (int, uint, uint32 or []byte; anything else is passed over).
type Row struct {
	Index []uint32
	Value any
}

// Walker reads a table of a switch, row by row. A table that the switch does not have has no rows.
type Walker interface {
	Walk(ctx context.Context, table string, do func(Row)) error
}

// MAC is an Ethernet address.
type MAC [6]byte

// String writes it as 52:54:00:00:00:01.
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// Hex writes it as 12 hex digits.
func (m MAC) Hex() string { return hex.EncodeToString(m[:]) }

// card tells whether it can be that of one network card.
func (m MAC) card() bool { return m[0]&1 == 0 && m != MAC{} }

// parseIndex reads the index of a forwarding table: FDB id and MAC, or the MAC alone; fdb is then 0.
func parseIndex(index []uint32) (fdb uint32, m MAC, ok bool) {
	switch len(index) {
	case 6:
	case 7:
		fdb, index = index[0], index[1:]
	default:
		return 0, m, false
	}
	for i, n := range index {
		if n > 255 {
			return 0, m, false
		}
		m[i] = byte(n)
	}
	return fdb, m, m.card()
}

// number returns a value above 0 that fits 31 bits.
func number(v any) (uint32, bool) {
	var n int64
	switch v := v.(type) {
	case int:
		n = int64(v)
	case uint:
		n = int64(v) // what does not fit is below 0
	case uint32:
		n = int64(v)
	}
	return uint32(n), n > 0 && n < 1<<31
}

// label returns a text that can be shown and compared with what is typed.
func label(v any) string {
	data, _ := v.([]byte)
	text := strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, string(data))
	text = strings.TrimSpace(text)
	if runes := []rune(text); len(runes) > longest {
		text = strings.TrimSpace(string(runes[:longest]))
	}
	return text
}

// Port is a port of a switch.
type Port struct {
	// Number is that of the bridge (dot1dBasePort), neither an ifIndex nor what is printed on the front.
	Number uint32
	// Name is its interface's; empty when the switch has none.
	Name string
}

// Is tells whether a word is the port's name or its number.
func (p Port) Is(word string) bool {
	return word != "" && (word == p.Name || word == strconv.FormatUint(uint64(p.Number), 10))
}
