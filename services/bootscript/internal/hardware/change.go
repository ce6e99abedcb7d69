package hardware

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
)

// Changes says in words what differs between two reports of a machine; nothing
// when there was none before.
func Changes(before, now *bootscriptv1.Hardware) []string {
	if before == nil || now == nil {
		return nil
	}
	c := &changes{}
	c.text("vendor", before.Vendor, now.Vendor)
	c.text("product", before.Product, now.Product)
	c.text("serial number", before.Serial, now.Serial)
	c.text("firmware kind", strings.ToUpper(before.Firmware), strings.ToUpper(now.Firmware))
	c.text(cmp.Or(strings.ToUpper(now.Firmware), "firmware"), before.FirmwareVersion, now.FirmwareVersion)
	c.text("processor", before.CpuModel, now.CpuModel)
	c.text("sockets", count(before.CpuSockets), count(now.CpuSockets))
	c.text("cores", count(before.CpuCores), count(now.CpuCores))
	c.text("threads", count(before.CpuThreads), count(now.CpuThreads))
	c.text("memory", Memory(before.MemoryBytes), Memory(now.MemoryBytes))
	c.disks(before.Disks, now.Disks)
	c.nics(before.Nics, now.Nics)
	c.bmc(before.Bmc, now.Bmc)
	c.keys(before.HostKeys, now.HostKeys)
	return c.words
}

type changes struct{ words []string }

func (c *changes) say(format string, args ...any) {
	c.words = append(c.words, fmt.Sprintf(format, args...))
}

// text tells that one thing became another.
func (c *changes) text(what, before, now string) {
	if before != now {
		c.say("%s %s → %s", what, orNothing(before), orNothing(now))
	}
}

func (c *changes) disks(before, now []*bootscriptv1.Disk) {
	gone, come, both := pair(before, now, func(d *bootscriptv1.Disk) string {
		switch {
		case d.Serial != "":
			return "serial " + d.Serial
		case d.Path != "":
			return "path " + d.Path
		}
		return "name " + d.Name
	})
	for _, d := range gone {
		c.say("%s is gone", diskName(d))
	}
	for _, d := range come {
		c.say("%s is new: %s", diskName(d), strings.TrimSpace(Size(d.Bytes)+" "+d.Model))
	}
	for _, p := range both {
		name := diskName(p.now)
		c.text(name+" size", Size(p.before.Bytes), Size(p.now.Bytes))
		c.text(name+" model", p.before.Model, p.now.Model)
		c.text(name+" place", p.before.Path, p.now.Path)
		c.text(name+" serial number", p.before.Serial, p.now.Serial)
		c.text(name+" kind", turning(p.before), turning(p.now))
	}
}

func (c *changes) nics(before, now []*bootscriptv1.Nic) {
	gone, come, both := pair(before, now, func(n *bootscriptv1.Nic) string {
		return cmp.Or(n.Mac, n.Address, n.Name)
	})
	for _, n := range gone {
		c.say("%s is gone", nicName(n))
	}
	for _, n := range come {
		c.say("%s is new%s", nicName(n), named(": ", strings.TrimSpace(n.Driver+" "+n.Address)))
	}
	for _, p := range both {
		name := nicName(p.now)
		c.text(name+" name", p.before.Name, p.now.Name)
		c.text(name+" driver", p.before.Driver, p.now.Driver)
		c.text(name+" place", p.before.Address, p.now.Address)
		switch {
		case p.before.Link && !p.now.Link:
			c.say("%s has no link any more", name)
		case !p.before.Link && p.now.Link:
			c.say("%s has a link now", name)
		default:
			c.text(name+" speed", Speed(p.before.Speed), Speed(p.now.Speed))
		}
	}
}

func (c *changes) bmc(before, now *bootscriptv1.Bmc) {
	switch {
	case before == nil && now == nil:
	case before == nil:
		c.say("a BMC is there%s", named(": ", strings.TrimSpace(now.Manufacturer+" "+now.Address)))
	case now == nil:
		c.say("the BMC does not answer any more")
	default:
		c.text("BMC address", before.Address, now.Address)
		c.text("BMC MAC", before.Mac, now.Mac)
		c.text("BMC firmware", before.FirmwareVersion, now.FirmwareVersion)
		c.text("BMC maker", before.Manufacturer, now.Manufacturer)
	}
}

func (c *changes) keys(before, now []string) {
	if slices.Equal(before, now) {
		return
	}
	if len(now) == 0 {
		c.say("the ssh host keys are gone")
		return
	}
	c.say("the ssh host keys are others")
}

// couple is one part in two reports.
type couple[T any] struct{ before, now T }

// pair finds the parts that are in both of two reports, and those that are in one only.
func pair[T any](before, now []T, identity func(T) string) (gone, come []T, both []couple[T]) {
	old := map[string][]T{}
	for _, x := range before {
		old[identity(x)] = append(old[identity(x)], x)
	}
	for _, y := range now {
		id := identity(y)
		if len(old[id]) == 0 {
			come = append(come, y)
			continue
		}
		both = append(both, couple[T]{old[id][0], y})
		old[id] = old[id][1:]
	}
	for _, x := range before {
		if id := identity(x); len(old[id]) > 0 {
			gone = append(gone, old[id][0])
			old[id] = old[id][1:]
		}
	}
	return gone, come, both
}

func count(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
