package integration_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/services/integration/room"
)

// TestSELinuxImage boots a Debian whose policy is enforced: from memory, where the agent labels all files, and from a disk,
// which has the image's labels, where it labels those that it wrote.
func TestSELinuxImage(t *testing.T) {
	ctx := limit(t, 40*time.Minute)
	l := open(t, ctx, "LUNA_ROOM_SELINUX=enforcing")
	must(t, l.StartHead(ctx))
	must(t, l.Describe(ctx))
	c := &checker{t: t, ctx: ctx, l: l}
	c.do("osimage", "change", "compute", "--kernopts", "console=tty0 console=ttyS0,115200 security=selinux enforcing=1")
	m, err := l.AddNodeLike(ctx, room.Machine{Firmware: room.BIOS, Memory: 3072})
	must(t, err)
	const address = "10.30.0.1"
	must(t, m.Start(ctx))
	c.up("in memory", address)
	c.want(address, "findmnt -n -o FSTYPE /", "tmpfs")
	c.enforced(address)
	if files := c.labelled(); files != "all" {
		t.Errorf("in memory %s files were labelled, not all", files)
	}

	setScripts(t, ctx, l, "mkfs.ext4 -F -q /dev/vda\nmount /dev/vda /sysroot\n", scriptsOf(t, ctx, l)[1])
	c.reboot(m, address)
	c.up("on a disk", address)
	c.want(address, "findmnt -n -o SOURCE,FSTYPE /", "/dev/vda ext4")
	c.enforced(address)
	files := c.labelled()
	if n, err := strconv.Atoi(files); err != nil || n == 0 {
		t.Errorf("on a disk %s files were labelled, not only those that the agent wrote", files)
	}
	t.Logf("on a disk %s files were labelled", files)
}

// verify prints what matchpathcon has to say about the root file system's files, and for how many it has nothing.
const verify = `find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /usr/share -o -path '/usr/lib/[mp]*' \) -prune -o -print0 |
xargs -0 matchpathcon -V >/run/labels 2>&1
grep -v ' verified.$' /run/labels | head -n 30
grep -c ' verified.$' /run/labels`

// enforced looks at a node whose policy is enforced, over an ssh that it let in.
func (c *checker) enforced(address string) {
	c.t.Helper()
	c.want(address, "cat /proc/cmdline", "security=selinux enforcing=1")
	c.want(address, "getenforce", "Enforcing")
	c.want(address, "cat /proc/1/attr/current", ":init_t:")
	c.want(address, "cat /proc/$(systemctl show -P MainPID ssh)/attr/current", ":sshd_t:")
	c.want(address, "id -Z", ":unconfined_t:")
	c.want(address, "systemctl --failed --no-legend | wc -l", "0")
	// Of the agent's are /etc/hostname, /etc/hosts, /etc/machine-id, /etc/network/interfaces.d/luna.
	lines := strings.Split(c.ssh(address, verify), "\n")
	if right, err := strconv.Atoi(lines[len(lines)-1]); err != nil || right < 5000 || len(lines) > 1 {
		c.t.Errorf("matchpathcon says, and how many it has verified:\n%s", strings.Join(lines, "\n"))
	}
	c.want(address, "chcon -t tmp_t /srv/acl.txt && ! matchpathcon -V /srv/acl.txt && restorecon /srv/acl.txt", "should be")
	c.t.Log("denied:\n" + c.ssh(address, "journalctl -k -o cat | grep -F 'avc:  denied' | sed 's/.*denied//' | sort | uniq -c | sort -rn | head -n 20"))
}

// labelled returns how many files the agent of node001 labelled in its newest boot.
func (c *checker) labelled() string {
	c.t.Helper()
	shown, err := c.l.Steps(c.ctx, "node001")
	must(c.t, err)
	for _, step := range shown.Steps {
		if files := step.GetReport().GetValues()["files"]; step.GetReport().GetName() == "install.selinux" && files != "" {
			return files
		}
	}
	c.t.Fatalf("no step labelled files: %v", shown.Steps)
	return ""
}
