package kernel

import (
	"bytes"

	"github.com/luna-hpc/luna/services/image-packer/internal/tree"
)

// Missing says how a kernel comes into the image of that name, which has none.
func Missing(t tree.Tree, name string) string {
	for _, m := range []struct{ program, command string }{
		{"usr/bin/apt-get", "apt-get install " + ofDebian(t)},
		{"usr/bin/dnf", "dnf install kernel"},
		{"usr/bin/microdnf", "microdnf install kernel"},
		{"usr/bin/yum", "yum install kernel"},
		{"usr/bin/zypper", "zypper install kernel-default"},
	} {
		if t.IsFile(m.program) {
			return "install one with luna osimage chroot " + name + " " + m.command
		}
	}
	return "put one there, as /boot/vmlinuz-VERSION beside /lib/modules/VERSION"
}

// ofDebian returns the package of the kernel in Debian and its kin.
func ofDebian(t tree.Tree) string {
	data, err := t.ReadFile("etc/os-release")
	if err == nil && bytes.Contains(data, []byte("\nID=ubuntu")) {
		return "linux-image-generic"
	}
	return "linux-image-amd64"
}
