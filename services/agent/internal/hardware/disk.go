package hardware

import (
	"strings"

	bootscript "github.com/luna-hpc/luna/proto/bootscript/v1"
)

// disks returns what has a device behind it and stays: no memory disks, no
// layers over others, no optical drives and nothing that can be taken out,
// such as what a BMC lends over the network.
func (t tree) disks() []*bootscript.Disk {
	const dir = "sys/block"
	paths := t.diskPaths()
	var all []*bootscript.Disk
	for _, name := range t.list(dir) {
		sectors := t.number(dir, name, "size")
		// A path of a multipath NVMe disk is hidden.
		if !t.exists(dir, name, "device") || sectors == 0 || t.text(dir, name, "removable") == "1" || t.text(dir, name, "hidden") == "1" {
			continue
		}
		all = append(all, &bootscript.Disk{
			// The kernel writes ! for the / in a device's name.
			Name: strings.ReplaceAll(name, "!", "/"), Path: paths[name],
			Bytes: sectors * 512, // whatever the disk's own sectors are
			Model: t.text(dir, name, "device/model"), Serial: t.diskSerial(name),
			Rotational: t.text(dir, name, "queue/rotational") == "1",
		})
	}
	return all
}

// diskPaths returns the links in /dev/disk/by-path by the names of their
// disks: of several the shortest, which the others begin with.
func (t tree) diskPaths() map[string]string {
	const dir = "dev/disk/by-path"
	paths := map[string]string{}
	for _, link := range t.list(dir) {
		disk := t.target(dir, link)
		if old := paths[disk]; disk != "" && (old == "" || len(link) < len(old)) {
			paths[disk] = link
		}
	}
	return paths
}

// diskSerial returns a disk's serial number: of NVMe and MMC with the device,
// of virtio with the disk, of SCSI and ATA from page 0x80 of the vital product data.
func (t tree) diskSerial(name string) string {
	const dir = "sys/block"
	for _, file := range []string{"device/serial", "serial"} {
		if text := t.text(dir, name, file); text != "" {
			return text
		}
	}
	const header = 4
	page := t.raw(dir, name, "device/vpd_pg80")
	if len(page) <= header {
		return ""
	}
	return clean(page[header:])
}
