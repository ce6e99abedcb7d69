package integration_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/services/integration/room"
)

// TestRoots boots one machine with its root in memory, compressed in memory and on a disk, each by one change of its
// group. A machine that it would fill to 80 % refuses it before anything is downloaded; one that it would fill to 60 %
// boots it compressed.
func TestRoots(t *testing.T) {
	ctx := limit(t, 50*time.Minute)
	l := open(t, ctx)
	must(t, l.StartHead(ctx))
	must(t, l.Describe(ctx))
	c := &checker{t: t, ctx: ctx, l: l}
	m, err := l.AddNodeLike(ctx, room.Machine{Firmware: room.BIOS, Memory: 2048})
	must(t, err)
	const address = "10.30.0.1"
	c.do("group", "change", "compute", "--root", "tmpfs")
	must(t, m.Start(ctx))
	c.up("in memory", address)
	c.want(address, "findmnt -n -o FSTYPE /", "tmpfs")
	c.kept(address)

	t.Log("the same image in a machine that it fills to 80 %")
	unpacked := c.newest().Unpacked
	must(t, m.Stop())
	m.Memory = int(unpacked * 10 / 8 >> 20)
	must(t, m.Start(ctx))
	must(t, c.why("node001", "install.partscript", "image compute needs "))
	must(t, c.why("node001", "install.partscript", " are free"))

	c.do("group", "change", "compute", "--root", "overlay")
	if out := c.head("curl", "-s", "http://10.30.255.254:7050/luna?step=install&node=node001"); !strings.Contains(out, "pack the image again") {
		t.Errorf("before the image is packed again its nodes hear %q", out)
	}
	c.do("osimage", "pack", "compute")
	if compressed := c.newest().Overlay.Bytes; compressed == 0 || compressed > unpacked*6/10 {
		t.Errorf("of %d bytes the compressed image has %d", unpacked, compressed)
	}
	must(t, m.Stop())
	m.Memory = int(unpacked * 10 / 6 >> 20)
	must(t, m.Start(ctx))
	c.up("compressed in memory", address)
	c.want(address, "findmnt -n -o FSTYPE /", "overlay")
	c.kept(address)
	c.ssh(address, "chown daemon /srv/acl.txt && mv /srv /srv2 && echo changed >/srv2/acl.txt && mv /srv2 /srv && chown root /srv/acl.txt")
	c.want(address, "cat /srv/acl.txt", "changed")
	c.want(address, "systemctl is-system-running", "running")
	t.Log(c.ssh(address, "free -m; df -m /; losetup -a; systemd-analyze"))
	c.pushed(address)

	c.reboot(m, address)
	c.up("compressed in memory again", address)
	c.want(address, "cat /srv/acl.txt", "acl")
	c.ssh(address, "systemd-run --on-active=1 systemctl poweroff")
	must(t, m.Wait(ctx)) // the machine is off when its system has ended

	m.Memory = 2048
	c.do("group", "change", "compute", "--root", "disk")
	must(t, m.Start(ctx))
	must(t, c.why("node001", "install.partscript", "the root of the group is disk, and /sysroot is tmpfs of type tmpfs"))
	setScripts(t, ctx, l, "mkfs.ext4 -F -q /dev/vda\nmount /dev/vda /sysroot\n", "true\n")
	c.up("on a disk", address)
	c.want(address, "findmnt -n -o SOURCE,FSTYPE /", "/dev/vda ext4")
	c.kept(address)
}

// pushed brings a changed image to the node, whose root is compressed, as to any other.
func (c *checker) pushed(address string) {
	c.t.Helper()
	dir := filepath.Join(c.l.Data(), "changed")
	c.do("osimage", "clone", "compute", "--to", "changed", "--path", dir)
	must(c.t, os.WriteFile(filepath.Join(dir, "etc/pushed"), []byte("from the image\n"), 0o644))
	c.do("osimage", "pack", "changed")
	c.do("group", "change", "compute", "-o", "changed")
	c.do("osimage", "push", "changed", "--nodes", "node001")
	c.want(address, "cat /etc/pushed", "from the image")
	c.do("group", "change", "compute", "-o", "compute")
}

// kept looks at what of the image only a whole root has.
func (c *checker) kept(address string) {
	c.t.Helper()
	c.want(address, "hostname", "node001")
	c.want(address, "getcap /usr/local/bin/ping-cap", "cap_net_raw=ep")
	c.want(address, "getfacl -c /srv/acl.txt", "user:www-data:rw-")
	c.want(address, "su -s /bin/sh nobody -c 'ping-cap -c 1 10.30.255.254'", " 0% packet loss")
	c.want(address, "systemctl --failed --no-legend | wc -l", "0")
}

// packed is what a release takes, in bytes.
type packed struct {
	Unpacked int64 `json:"unpacked_bytes,string"`
	Payload  int64 `json:"payload_bytes,string"`
	// Overlay is its compressed image; it has none when that is 0.
	Overlay struct {
		Bytes int64 `json:",string"`
	}
}

// newest returns the image's newest release.
func (c *checker) newest() packed {
	c.t.Helper()
	out, err := c.l.Luna(c.ctx, "osimage", "releases", "compute", "--output", "json")
	must(c.t, err)
	var rep struct{ Releases struct{ Releases []packed } }
	must(c.t, json.Unmarshal([]byte(out), &rep))
	all := rep.Releases.Releases
	if len(all) == 0 {
		c.t.Fatalf("no releases in %s", out)
	}
	return all[len(all)-1]
}
