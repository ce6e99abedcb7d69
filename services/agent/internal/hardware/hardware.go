// Package hardware finds out what a machine is made of, from what the kernel shows in /sys and /proc.
package hardware

import (
	"slices"
	"strings"

	bootscript "github.com/luna-hpc/luna/proto/bootscript/v1"
)

// Read returns what the kernel shows below root, which is "/" but for tests.
// What it does not show stays empty. The BMC is not in it.
func Read(root string) *bootscript.Hardware {
	t := tree(root)
	h := &bootscript.Hardware{Disks: t.disks(), Nics: t.nics(), MemoryBytes: t.memory()}
	t.machine(h)
	t.processors(h)
	return h
}

// fillers are what makers leave in fields that nobody filled in.
var fillers = []string{"to be filled by o.e.m.", "default string", "not specified", "not applicable", "none", "unknown",
	"system manufacturer", "system product name", "system serial number", "0123456789", "empty"}

// machine reads the SMBIOS tables, or the device tree where there are none.
func (t tree) machine(h *bootscript.Hardware) {
	const dmi = "sys/class/dmi/id"
	said := func(name string) string {
		text := t.text(dmi, name)
		if slices.Contains(fillers, strings.ToLower(text)) {
			return ""
		}
		return text
	}
	h.Vendor, h.Product, h.Serial = said("sys_vendor"), said("product_name"), said("product_serial")
	h.FirmwareVersion = said("bios_version")
	switch {
	case t.exists("sys/firmware/efi"):
		h.Firmware = "uefi"
	case t.exists(dmi):
		h.Firmware = "bios"
	}
	const dt = "sys/firmware/devicetree/base"
	if h.Product == "" {
		h.Product = t.text(dt, "model")
	}
	if h.Serial == "" {
		h.Serial = t.text(dt, "serial-number")
	}
}

// processors counts those that are online.
func (t tree) processors(h *bootscript.Hardware) {
	const dir = "sys/devices/system/cpu"
	sockets, cores := map[string]bool{}, map[string]bool{}
	for _, name := range t.list(dir) {
		number, ok := strings.CutPrefix(name, "cpu")
		if !ok || number == "" || strings.Trim(number, "0123456789") != "" || !t.exists(dir, name, "topology") {
			continue // cpufreq and such, or offline
		}
		h.CpuThreads++
		sockets[t.text(dir, name, "topology/physical_package_id")] = true
		// The older kernels know the list by its other name.
		core := t.text(dir, name, "topology/core_cpus_list")
		if core == "" {
			core = t.text(dir, name, "topology/thread_siblings_list")
		}
		cores[core] = true
	}
	h.CpuSockets, h.CpuCores = uint32(len(sockets)), uint32(len(cores))
	for line := range strings.Lines(t.raw("proc/cpuinfo")) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			h.CpuModel = clean(value)
			return
		}
	}
}

// memory returns the bytes of memory that are plugged in, as the kernel counts
// it in blocks; MemTotal, which lacks what the kernel itself took and so differs
// from kernel to kernel, only where there are no blocks.
func (t tree) memory() uint64 {
	const dir = "sys/devices/system/memory"
	size := t.hex(dir, "block_size_bytes")
	var blocks uint64
	for _, name := range t.list(dir) {
		if strings.HasPrefix(name, "memory") && t.text(dir, name, "state") == "online" {
			blocks++
		}
	}
	if size*blocks > 0 {
		return size * blocks
	}
	for line := range strings.Lines(t.raw("proc/meminfo")) {
		if kib, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			return number(strings.TrimSuffix(strings.TrimSpace(kib), " kB")) << 10
		}
	}
	return 0
}
