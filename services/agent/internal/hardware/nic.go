package hardware

import (
	"path/filepath"
	"regexp"
	"strings"

	bootscript "github.com/luna-hpc/luna/proto/bootscript/v1"
)

// Types of links, as if_arp.h has them.
const (
	ethernet   = "1"
	infiniband = "32"
)

// nics returns the cards of Ethernet and InfiniBand that have a device behind
// them. A card that nobody took up shows neither link nor speed.
func (t tree) nics() []*bootscript.Nic {
	const dir = "sys/class/net"
	var all []*bootscript.Nic
	for _, name := range t.list(dir) {
		kind := t.text(dir, name, "type")
		if !t.exists(dir, name, "device") || kind != ethernet && kind != infiniband {
			continue
		}
		n := &bootscript.Nic{Name: name, Mac: t.text(dir, name, "address"), Address: t.place(name),
			Driver: t.target(dir, name, "device/driver"), Link: t.text(dir, name, "carrier") == "1"}
		// A driver that does not know says -1.
		if speed := t.number(dir, name, "speed"); n.Link && speed < 1<<31 {
			n.Speed = uint32(speed)
		}
		all = append(all, n)
	}
	return all
}

var pciAddress = regexp.MustCompile(`^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$`)

// place returns where a card is on the PCI bus: the last such name on the way
// to its device, since virtio and others have a bus of their own in between.
func (t tree) place(name string) string {
	real, err := filepath.EvalSymlinks(t.path("sys/class/net", name, "device"))
	if err != nil {
		return ""
	}
	place := filepath.Base(real)
	for part := range strings.SplitSeq(real, "/") {
		if pciAddress.MatchString(part) {
			place = part
		}
	}
	return place
}
