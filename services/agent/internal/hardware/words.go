package hardware

import (
	"fmt"
	"strings"

	bootscript "github.com/luna-hpc/luna/proto/bootscript/v1"
)

// Lines tells what a machine is made of to a person at its console.
func Lines(h *bootscript.Hardware) []string {
	lines := []string{
		join(h.GetVendor(), h.GetProduct(), named("serial", h.GetSerial()), named(h.GetFirmware(), h.GetFirmwareVersion())),
		join(fmt.Sprintf("%d × %s", h.GetCpuSockets(), h.GetCpuModel()), fmt.Sprintf("%d cores", h.GetCpuCores()), fmt.Sprintf("%d threads", h.GetCpuThreads()),
			fmt.Sprintf("%.1f GiB memory", float64(h.GetMemoryBytes())/(1<<30))),
	}
	for _, d := range h.GetDisks() {
		lines = append(lines, "disk "+join(d.GetName(), fmt.Sprintf("%.1f GB", float64(d.GetBytes())/1e9), d.GetModel(), named("serial", d.GetSerial()), d.GetPath()))
	}
	for _, n := range h.GetNics() {
		link := "no link"
		if n.GetLink() {
			link = "link"
		}
		lines = append(lines, "card "+join(n.GetName(), n.GetMac(), n.GetDriver(), n.GetAddress(), link))
	}
	if b := h.GetBmc(); b != nil {
		lines = append(lines, "BMC "+join(b.GetAddress(), b.GetMac(), named("firmware", b.GetFirmwareVersion())))
	}
	return lines
}

func named(name, value string) string {
	if value == "" {
		return ""
	}
	return strings.TrimSpace(name + " " + value)
}

// join puts what is there behind each other.
func join(parts ...string) string {
	var there []string
	for _, p := range parts {
		if p != "" {
			there = append(there, p)
		}
	}
	return strings.Join(there, ", ")
}
