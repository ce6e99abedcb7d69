// Package bridgemib lets snmpd tell what a Linux bridge has learned, as a switch does: BRIDGE-MIB, and Q-BRIDGE-MIB when the
// bridge has VLANs.
package bridgemib

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Root is the subtree that is served: dot1dBridge (RFC 4188).
const Root = ".1.3.6.1.2.1.17"

// Row is one integer of the subtree.
type Row struct {
	// OID is its full name, in numbers.
	OID   []uint32
	Value int
}

// Serve speaks snmpd's pass_persist protocol (snmpd.conf(5)) until in ends. The rows are read for each request.
func Serve(in io.Reader, out io.Writer, rows func() ([]Row, error)) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var answer string
		switch command := lines.Text(); command {
		case "PING":
			answer = "PONG"
		case "get", "getnext":
			if !lines.Scan() {
				return io.ErrUnexpectedEOF
			}
			all, err := rows()
			if err != nil {
				return err
			}
			answer = find(all, lines.Text(), command == "getnext")
		case "set":
			lines.Scan() // the OID
			lines.Scan() // the value
			answer = "not-writable"
		default:
			return fmt.Errorf("snmpd said %q", command)
		}
		if _, err := fmt.Fprintln(out, answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

// find returns the row of an OID, or the one behind it, as snmpd wants it.
func find(all []Row, at string, next bool) string {
	oid, err := parse(at)
	if err != nil {
		return "NONE"
	}
	slices.SortFunc(all, func(a, b Row) int { return slices.Compare(a.OID, b.OID) })
	i, found := slices.BinarySearchFunc(all, oid, func(r Row, oid []uint32) int { return slices.Compare(r.OID, oid) })
	if next && found {
		i++
	}
	if i == len(all) || (!next && !found) {
		return "NONE"
	}
	return fmt.Sprintf("%s\ninteger\n%d", format(all[i].OID), all[i].Value)
}

func parse(s string) ([]uint32, error) {
	var oid []uint32
	for _, p := range strings.Split(strings.TrimPrefix(s, "."), ".") {
		n, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%q is no OID: %w", s, err)
		}
		oid = append(oid, uint32(n))
	}
	return oid, nil
}

func format(oid []uint32) string {
	var b strings.Builder
	for _, n := range oid {
		fmt.Fprintf(&b, ".%d", n)
	}
	return b.String()
}
