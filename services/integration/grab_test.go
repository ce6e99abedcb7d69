package integration_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/services/integration/room"
)

// TestGrabAndPush grabs a running node into a new image, packs that, and pushes it to the node; which boots what was
// grabbed, and after a roll-back of a newer release still that.
func TestGrabAndPush(t *testing.T) {
	ctx := limit(t, 30*time.Minute)
	l := open(t, ctx)
	must(t, l.StartHead(ctx))
	must(t, l.Describe(ctx))
	m, err := l.AddNode(ctx, room.UEFI)
	must(t, err)
	c := &checker{t: t, ctx: ctx, l: l}
	address, err := l.Address(ctx, m.Name)
	must(t, err)
	must(t, m.Start(ctx))
	c.up("installed", address)
	c.ssh(address, `echo by hand >/etc/grabbed; cp /bin/true /usr/local/bin/able; setcap cap_net_raw=ep /usr/local/bin/able 2>/dev/null || true; rm /etc/issue.net; echo own >/srv/own`)

	dir := filepath.Join(l.Data(), "grabbed")
	c.do("osimage", "clone", "compute", "--to", "grabbed", "--path", dir)
	dry, err := l.Luna(ctx, "osimage", "grab", "grabbed", "--host", m.Name, "--dry_run")
	must(t, err)
	for _, line := range []string{"+ etc/grabbed\n", "- etc/issue.net\n"} {
		if !strings.Contains(dry, line) {
			t.Errorf("no %q in\n%s", line, dry)
		}
	}
	c.do("osimage", "grab", "grabbed", "--host", m.Name)
	if got, err := os.ReadFile(filepath.Join(dir, "etc/grabbed")); err != nil || string(got) != "by hand\n" {
		t.Errorf("etc/grabbed in the image: %q, %v", got, err)
	}
	for _, name := range []string{"etc/ssh/ssh_host_ed25519_key", "etc/machine-id", "var/lib/luna/release"} {
		c.same(dir, name)
	}

	must(t, os.WriteFile(filepath.Join(dir, "etc/pushed"), []byte("from the image\n"), 0o644))
	must(t, os.Remove(filepath.Join(dir, "srv/own")))
	c.do("osimage", "pack", "grabbed")
	c.do("group", "change", "compute", "-o", "grabbed")
	before := c.ssh(address, "stat -c '%i %z' /usr/bin/env; cat /etc/hostname /etc/machine-id /proc/sys/kernel/random/boot_id")
	said, err := l.Luna(ctx, "osimage", "push", "grabbed", "--nodes", m.Name)
	if t.Log(said); err != nil {
		t.Fatal(err)
	}
	c.want(address, "cat /etc/pushed", "from the image")
	c.want(address, "cat /srv/own", "own") // no release knew it
	if after := c.ssh(address, "stat -c '%i %z' /usr/bin/env; cat /etc/hostname /etc/machine-id /proc/sys/kernel/random/boot_id"); after != before {
		t.Errorf("after the push\n%s\nbefore\n%s", after, before)
	}
	if again, err := l.Luna(ctx, "osimage", "push", "grabbed", "--nodes", m.Name); err != nil || !strings.Contains(again, "has it already") {
		t.Errorf("a second push: %s, %v", again, err)
	}
	c.reboot(m, address)
	c.up("booted from what was grabbed", address)
	c.want(address, "cat /etc/grabbed /etc/pushed", "by hand\nfrom the image")

	must(t, os.WriteFile(filepath.Join(dir, "etc/pushed"), []byte("newer\n"), 0o644))
	c.do("osimage", "pack", "grabbed")
	c.do("osimage", "rollback", "grabbed")
	c.reboot(m, address)
	c.up("booted from the release before", address)
	c.want(address, "cat /etc/pushed", "from the image")
	must(t, m.Stop())
}

// same checks that a file of the image is as it was in the one that was copied, or in neither.
func (c *checker) same(dir, name string) {
	c.t.Helper()
	got, err := os.ReadFile(filepath.Join(dir, name))
	want, wantErr := os.ReadFile(filepath.Join(c.l.Image.Root, name))
	if os.IsNotExist(err) && os.IsNotExist(wantErr) || name == "etc/machine-id" && len(got) == 0 {
		return
	}
	if string(got) != string(want) {
		c.t.Errorf("%s of the image is the node's", name)
	}
}
