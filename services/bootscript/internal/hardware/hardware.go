// Package hardware keeps what nodes' machines are made of, and says what became different.
package hardware

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/oklog/ulid/v2"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/wire"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
)

// MaxReport is the largest report of hardware that is read, in bytes.
const MaxReport = 128 << 10

const (
	maxParts = 256 // disks, or cards
	maxText  = 256 // bytes of a name
	maxKeys  = 16
)

// Parse reads what a node says of its machine and puts it in order. It is
// shown to people and compared with later reports, so it must be exactly what
// it should be: anything odd is Invalid.
func Parse(data []byte) (*bootscriptv1.Hardware, error) {
	if len(data) > MaxReport {
		return nil, fault.Invalidf("the report has more than %d bytes", MaxReport)
	}
	h := &bootscriptv1.Hardware{}
	if err := wire.Event(data, h); err != nil {
		return nil, fault.Invalidf("the report is not JSON as expected: %w", err)
	}
	// These are the head's to say.
	h.NodeId, h.Time = "", ""
	keys := h.HostKeys
	h.HostKeys = nil // they have rules of their own
	if err := checkTexts(h.ProtoReflect()); err != nil {
		return nil, err
	}
	if err := check(h); err != nil {
		return nil, err
	}
	var err error
	if h.HostKeys, err = hostKeys(keys); err != nil {
		return nil, err
	}
	order(h)
	return h, nil
}

// checkTexts refuses what cannot be shown in a line, in all texts of a message.
func checkTexts(m protoreflect.Message) (err error) {
	one := func(name protoreflect.Name, text string) {
		if len(text) > maxText || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			err = fault.Invalidf("%s in the report is longer than %d bytes or has characters that cannot be shown", name, maxText)
		}
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Kind() == protoreflect.StringKind && !f.IsList():
			one(f.Name(), v.String())
		case f.Kind() == protoreflect.MessageKind && f.IsList():
			for i := range v.List().Len() {
				if err == nil {
					err = checkTexts(v.List().Get(i).Message())
				}
			}
		case f.Kind() == protoreflect.MessageKind:
			err = checkTexts(v.Message())
		}
		return err == nil
	})
	return err
}

func check(h *bootscriptv1.Hardware) error {
	if h.BootId != "" {
		if _, err := ulid.ParseStrict(h.BootId); err != nil || strings.ToUpper(h.BootId) != h.BootId {
			return fault.Invalidf("%q is no boot id", h.BootId)
		}
	}
	if len(h.Disks) > maxParts || len(h.Nics) > maxParts {
		return fault.Invalidf("the report has more than %d disks or cards", maxParts)
	}
	if h.Firmware != "" && h.Firmware != "bios" && h.Firmware != "uefi" {
		return fault.Invalidf("firmware %q is neither bios nor uefi", h.Firmware)
	}
	for _, n := range h.Nics {
		if err := checkMAC(&n.Mac); err != nil {
			return err
		}
	}
	if h.Bmc == nil {
		return nil
	}
	if a := h.Bmc.Address; a != "" {
		if _, err := netip.ParseAddr(a); err != nil {
			return fault.Invalidf("%q is no address of a BMC", a)
		}
	}
	return checkMAC(&h.Bmc.Mac)
}

// checkMAC writes a hardware address as all are written here; InfiniBand's have 20 bytes.
func checkMAC(mac *string) error {
	if *mac == "" {
		return nil
	}
	hw, err := net.ParseMAC(*mac)
	if err != nil {
		return fault.Invalidf("%q is no MAC address", *mac)
	}
	*mac = hw.String()
	return nil
}

func order(h *bootscriptv1.Hardware) {
	slices.SortStableFunc(h.Disks, func(x, y *bootscriptv1.Disk) int {
		return cmp.Or(strings.Compare(x.Path, y.Path), strings.Compare(x.Serial, y.Serial), strings.Compare(x.Name, y.Name))
	})
	slices.SortStableFunc(h.Nics, func(x, y *bootscriptv1.Nic) int {
		return cmp.Or(strings.Compare(x.Address, y.Address), strings.Compare(x.Name, y.Name), strings.Compare(x.Mac, y.Mac))
	})
}

// same tells whether two reports tell of the same machine. The kernel finds
// disks in another order at each boot, so their names do not count.
func same(x, y *bootscriptv1.Hardware) bool { return proto.Equal(comparable(x), comparable(y)) }

func comparable(h *bootscriptv1.Hardware) *bootscriptv1.Hardware {
	h = proto.CloneOf(h)
	h.NodeId, h.BootId, h.Time, h.Installed = "", "", "", false
	for _, d := range h.Disks {
		if d.Path != "" || d.Serial != "" {
			d.Name = ""
		}
	}
	return h
}
