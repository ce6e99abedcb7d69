package bridgemib

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Columns below Root, each with what its index is.
var (
	basePortIfIndex = column(1, 4, 1, 2)          // port
	fdbPort         = column(4, 3, 1, 2)          // MAC
	fdbStatus       = column(4, 3, 1, 3)          // MAC
	vlanFdbPort     = column(7, 1, 2, 2, 1, 2)    // FDB id, MAC
	vlanFdbStatus   = column(7, 1, 2, 2, 1, 3)    // FDB id, MAC
	vlanFdbID       = column(7, 1, 4, 2, 1, 3, 0) // VLAN
)

// What an entry is (dot1dTpFdbStatus).
const (
	learned = 3
	self    = 4
	mgmt    = 5
)

func column(below ...uint32) []uint32 {
	root, err := parse(Root)
	if err != nil {
		panic(err)
	}
	return append(root, below...)
}

// Bridge returns the rows of a bridge in the namespace of the calling thread: what `bridge fdb` shows. Entries without a VLAN
// stand in Q-BRIDGE-MIB too when untagged, the FDB id of VLAN 1, is not 0; all stand there once more, as of a second VLAN with an FDB
// of its own, when that is not 0.
func Bridge(name string, untagged, second uint32) ([]Row, error) {
	br, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("find bridge %s: %w", name, err)
	}
	ports, err := portNumbers(br.Attrs().Index)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for index, number := range ports {
		rows = append(rows, row(index, basePortIfIndex, uint32(number)))
	}
	entries, err := netlink.NeighList(0, unix.AF_BRIDGE)
	if err != nil {
		return nil, fmt.Errorf("read the forwarding tables: %w", err)
	}
	t := table{rows: rows, macs: map[string]bool{}, vlans: map[uint32]uint32{}}
	for _, e := range entries {
		if len(e.HardwareAddr) == 6 && (e.MasterIndex == br.Attrs().Index || e.LinkIndex == br.Attrs().Index) {
			t.add(e, ports[e.LinkIndex], untagged, second) // the bridge's own are on port 0
		}
	}
	for vlan, fdb := range t.vlans {
		t.rows = append(t.rows, row(int(fdb), vlanFdbID, vlan))
	}
	return t.rows, nil
}

// table gathers the rows of entries.
type table struct {
	rows []Row
	macs map[string]bool
	// vlans have FDB ids.
	vlans map[uint32]uint32
}

func (t *table) add(e netlink.Neigh, port int, untagged, second uint32) {
	mac, status := bytesOf(e.HardwareAddr), statusOf(e)
	if !t.macs[e.HardwareAddr.String()] {
		t.macs[e.HardwareAddr.String()] = true
		t.rows = append(t.rows, row(port, fdbPort, mac...), row(status, fdbStatus, mac...))
	}
	vlan, fdb := uint32(e.Vlan), uint32(e.Vlan)
	if vlan == 0 {
		vlan, fdb = 1, untagged
	}
	for vlan, fdb := range map[uint32]uint32{vlan: fdb, second: second} {
		if fdb == 0 {
			continue
		}
		t.vlans[vlan] = fdb
		index := append([]uint32{fdb}, mac...)
		t.rows = append(t.rows, row(port, vlanFdbPort, index...), row(status, vlanFdbStatus, index...))
	}
}

func row(value int, column []uint32, index ...uint32) Row {
	return Row{OID: append(append([]uint32{}, column...), index...), Value: value}
}

func statusOf(e netlink.Neigh) int {
	switch {
	case e.State&netlink.NUD_PERMANENT != 0:
		return self
	case e.State&netlink.NUD_NOARP != 0:
		return mgmt
	}
	return learned
}

func bytesOf(mac []byte) []uint32 {
	all := make([]uint32, len(mac))
	for i, b := range mac {
		all[i] = uint32(b)
	}
	return all
}

// portNumbers returns the bridge's number of each port by its interface.
func portNumbers(bridge int) (map[int]int, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	ports := map[int]int{}
	for _, l := range links {
		if l.Attrs().MasterIndex != bridge {
			continue
		}
		text, err := os.ReadFile(filepath.Join("/sys/class/net", l.Attrs().Name, "brport/port_no"))
		if err != nil {
			return nil, fmt.Errorf("number of port %s: %w", l.Attrs().Name, err)
		}
		n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 0, 16)
		if err != nil {
			return nil, fmt.Errorf("number of port %s: %w", l.Attrs().Name, err)
		}
		ports[l.Attrs().Index] = int(n)
	}
	return ports, nil
}
