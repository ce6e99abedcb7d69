package integration_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/services/integration/room"
)

// TestDriversOfPhysicalMachines boots the kernel for physical machines on cards
// and controllers that such machines have: in service mode, then installed. What
// udev calls them must be the same.
func TestDriversOfPhysicalMachines(t *testing.T) {
	ctx := limit(t, 40*time.Minute)
	l := open(t, ctx, "LUNA_ROOM_KERNEL=linux-image-amd64")
	must(t, l.StartHead(ctx))
	must(t, l.Describe(ctx))
	for _, spec := range []room.Machine{
		{Firmware: room.UEFI, Card: "e1000e", Bus: room.NVMe, Memory: 4096, Disks: []int{1024, 1024}},
		{Firmware: room.BIOS, Card: "virtio-net-pci", Bus: room.MegaRAID, Memory: 4096, Disks: []int{1024},
			Args: []string{"-blockdev", "null-co,node-name=sata,size=1073741824,read-zeroes=on", "-device", "ide-hd,bus=ide.1,drive=sata"}},
	} {
		m, err := l.AddNodeLike(ctx, spec)
		must(t, err)
		t.Run(m.Name, func(t *testing.T) {
			c := &checker{t: t, ctx: ctx, l: l}
			address, err := l.Address(ctx, m.Name)
			must(t, err)
			c.do("node", "change", m.Name, "--service", "y")
			must(t, m.Start(ctx))
			c.waited("in service mode", address, c.l.WaitService)
			service := c.devices(address)
			c.tools(address)
			found, err := l.Luna(ctx, "node", "show", m.Name, "--hardware")
			must(t, err)
			for _, part := range []string{m.MAC, spec.Firmware.String()} {
				if !strings.Contains(strings.ToLower(found), strings.ToLower(part)) {
					t.Errorf("no %s in the hardware:\n%s", part, found)
				}
			}
			c.do("node", "change", m.Name, "--service", "n")
			c.reboot(m, address)
			c.up("installed", address)
			c.want(address, "findmnt -n -o FSTYPE /", "tmpfs")
			if installed := c.devices(address); installed != service {
				t.Errorf("in service mode:\n%s\ninstalled:\n%s", service, installed)
			}
			c.knownHosts(m.Name, address)
			must(t, m.Stop())
		})
	}
}

// devices lists what udev calls the cards and disks. The kernel numbers disks as they answer: which is the first may
// change from boot to boot, their paths do not.
func (c *checker) devices(address string) string {
	c.t.Helper()
	out := c.ssh(address, `cd /sys/class/net && for n in *; do echo "$n $(cat $n/address)"; done; ls /dev/disk/by-path; lsblk -dno NAME,SIZE,MODEL | sort`)
	for _, part := range []string{"52:54:00:aa:00:0", "pci-0000"} {
		if !strings.Contains(out, part) {
			c.t.Errorf("no %s among the devices:\n%s", part, out)
		}
	}
	return out
}

// knownHosts has ssh check a node's key with what the head knows.
func (c *checker) knownHosts(name, address string) {
	c.t.Helper()
	lines, err := c.l.Luna(c.ctx, "cluster", "known_hosts")
	must(c.t, err)
	file := filepath.Join(c.l.Dir(), "known_hosts")
	must(c.t, os.WriteFile(file, []byte(lines), 0o600))
	c.head("ssh", "-F", "none", "-i", c.l.Image.Key, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile="+file, "root@"+address, "true")
	if !strings.Contains(lines, name) {
		c.t.Errorf("no %s in known_hosts:\n%s", name, lines)
	}
}

// tools runs every tool that install scripts may use, on a terminal.
func (c *checker) tools(address string) {
	c.t.Helper()
	commands := map[string]string{
		"bash": "bash --version", "ssh": "ssh -V", "scp": "command -v scp", "tar": "tar --version", "wget": "wget --version", "curl": "curl --version",
		"awk": "echo x | awk '{print $1}'", "sed": "echo x | sed s/x/y/", "gzip": "gzip --version", "dd": "dd --version", "parted": "parted --version",
		"partx": "partx --version", "mkfs.ext4": "mkfs.ext4 -V", "mkfs.xfs": "mkfs.xfs -V", "mkfs.vfat": "mkfs.vfat --help", "blkdiscard": "blkdiscard --version",
		"fstrim": "fstrim --version", "nslookup": "nslookup head.cluster", "dig": "dig +short head.cluster", "mount": "mount --version", "lsblk": "lsblk",
		"blkid": "blkid --version", "wipefs": "wipefs --version", "sfdisk": "sfdisk --version", "mkswap": "mkswap --version", "modprobe": "modprobe --version",
		"ip": "ip -V", "ping": "ping -c 1 head.cluster", "ps": "ps --version", "efibootmgr": "efibootmgr --version", "rsync": "rsync --version",
	}
	var script strings.Builder
	for tool, command := range commands {
		fmt.Fprintf(&script, "{ %s; } </dev/null >/dev/null 2>&1 && echo good %s\n", command, tool)
	}
	out, err := c.l.SSHTerminal(c.ctx, address, script.String())
	for tool := range commands {
		if !strings.Contains(out, "good "+tool+"\r\n") {
			c.t.Errorf("%s does not run: %v\n%s", tool, err, out)
		}
	}
}
