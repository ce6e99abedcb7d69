package integration_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/services/integration/lab"
	"github.com/luna-hpc/luna/services/integration/room"
)

var keep = flag.Bool("keep", false, "keep the folders of logs and consoles")

// bin is where `make build` puts the programs.
func bin(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// folder is a test's folder; it is kept when the test fails.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "luna-test-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() || *keep {
			t.Log("logs and consoles:", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// open makes a lab that is taken down with the test; image are settings of its image.
func open(t *testing.T, ctx context.Context, image ...string) *lab.Lab {
	t.Helper()
	l, err := lab.Open(ctx, lab.Options{Dir: folder(t), Bin: bin(t), Log: slog.New(slog.DiscardHandler), Image: image})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(l.Data()); err != nil {
			t.Error(err)
		}
	})
	return l
}

func limit(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// must runs a step and ends the test when it fails.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestBlankMachinesBecomeNodes boots a BIOS and a UEFI machine and looks at
// them from outside.
func TestBlankMachinesBecomeNodes(t *testing.T) {
	t.Parallel()
	ctx := limit(t, 40*time.Minute)
	l := open(t, ctx)
	must(t, l.StartHead(ctx))
	must(t, l.Describe(ctx))
	addresses := map[string]string{}
	for _, firmware := range []room.Firmware{room.BIOS, room.UEFI} {
		m, err := l.AddNode(ctx, firmware)
		must(t, err)
		addresses[m.Name], err = l.Address(ctx, m.Name)
		must(t, err)
		must(t, m.Start(ctx))
	}
	for name, address := range addresses {
		if err := l.WaitUp(ctx, address); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, story(ctx, l, name))
		}
	}
	c := &checker{t: t, ctx: ctx, l: l}
	for name, address := range addresses {
		t.Run(name, func(t *testing.T) { (&checker{t: t, ctx: ctx, l: l}).node(name, address) })
	}
	t.Run("dns", func(*testing.T) { c.names(addresses) })
	t.Run("torrent", func(t *testing.T) { (&checker{t: t, ctx: ctx, l: l}).torrent() })
	t.Run("urls", func(t *testing.T) { (&checker{t: t, ctx: ctx, l: l}).urls() })
	t.Run("chroot", func(t *testing.T) { (&checker{t: t, ctx: ctx, l: l}).chroot() })
	t.Run("stranger", func(t *testing.T) {
		(&checker{t: t, ctx: ctx, l: l}).stranger(addresses["node001"])
	})
	ids := map[string]string{}
	for name, address := range addresses {
		id := c.ssh(address, "cat /etc/machine-id")
		for other, otherID := range ids {
			if id == otherID {
				t.Errorf("%s and %s have machine-id %s", name, other, id)
			}
		}
		ids[name] = id
	}
	if !t.Run("restored head", func(t *testing.T) { (&checker{t: t, ctx: ctx, l: l}).restore() }) {
		return
	}
	t.Run("second boot", func(*testing.T) { c.again("node001", addresses["node001"], ids["node001"]) })
}

// chroot works in a copy of the image as if it were booted.
func (c *checker) chroot() {
	c.do("osimage", "clone", "compute", "--to", "workshop", "--path", filepath.Join(c.l.Data(), "workshop"))
	kernver := c.head("sh", "-c", "ls "+c.l.Image.Root+"/lib/modules")
	out, err := c.l.Luna(c.ctx, "osimage", "chroot", "workshop", "sh", "-c", "uname -r; dpkg-query -W -f '${db:Status-Status}' systemd; mount | grep -c ' on / '")
	if want := kernver + "\ninstalled1\n"; err != nil || out != want {
		c.t.Errorf("in the image: %q, %v; want %q", out, err, want)
	}
	c.do("osimage", "delete", "workshop")
}

// story is what the head knows of a boot.
func story(ctx context.Context, l *lab.Lab, node string) string {
	out, err := l.Luna(context.WithoutCancel(ctx), "boot", "show", node)
	return fmt.Sprint(out, err)
}

// checker asks nodes and the head questions.
type checker struct {
	t   *testing.T
	ctx context.Context
	l   *lab.Lab
}

func (c *checker) ssh(address, command string) string {
	c.t.Helper()
	out, err := c.l.SSH(c.ctx, address, command)
	if err != nil {
		c.t.Error(err)
	}
	return strings.TrimSpace(out)
}

func (c *checker) head(name string, args ...string) string {
	c.t.Helper()
	out, err := c.l.Output(c.ctx, name, args...)
	if err != nil {
		c.t.Errorf("%v: %s", err, out)
	}
	return strings.TrimSpace(out)
}

// want compares what a node says with what it should.
func (c *checker) want(address, command, part string) {
	c.t.Helper()
	if got := c.ssh(address, command); !strings.Contains(got, part) {
		c.t.Errorf("%s says %q, want %q in it", command, got, part)
	}
}

// node looks at a booted node.
func (c *checker) node(name, address string) {
	c.head("ping", "-c", "2", "-W", "3", address)
	c.want(address, "hostname", name)
	c.want(address, "cat /etc/hostname", name)
	c.want(address, "cat /etc/hosts", address+"\t"+name)
	c.want(address, "ip route show default", "default via 10.30.255.254")
	c.want(address, "ip -br addr", address+"/16")
	c.want(address, "findmnt -n -o FSTYPE /", "tmpfs")
	c.want(address, "stat -c '%a %U' /", "755 root")
	c.want(address, "getcap /usr/local/bin/ping-cap", "cap_net_raw=ep")
	c.want(address, "getfacl -c /srv/acl.txt", "user:www-data:rw-")
	c.want(address, "stat -c %h /srv/hard-a", "2")
	c.want(address, "[ /srv/hard-a -ef /srv/hard-b ] && echo same", "same")
	c.want(address, "getent hosts node002", "10.30.0.2")
	c.want(address, "ping -c 1 -W 3 node002 && echo there", "there")
	c.want(address, "systemctl --failed --no-legend | wc -l", "0")
	leases, err := c.l.Luna(c.ctx, "lease", "list", "--output", "json")
	must(c.t, err)
	if strings.Contains(leases, "5254 00aa") || strings.Contains(leases, "52:54:00:aa") {
		c.t.Errorf("a node has a lease of the range: %s", leases)
	}
}

// names asks dig for the nodes and the head.
func (c *checker) names(addresses map[string]string) {
	const server = "@10.30.255.254"
	for name, address := range addresses {
		if got := c.head("dig", "+short", server, name+".cluster"); got != address {
			c.t.Errorf("%s is %q", name, got)
		}
		if got := c.head("dig", "+short", server, "-x", address); got != name+".cluster." {
			c.t.Errorf("%s is %q", address, got)
		}
	}
	if got := c.head("dig", "+short", server, "head.cluster"); got != "10.30.255.254" {
		c.t.Errorf("the head is %q", got)
	}
	if got := c.head("dig", server, "nosuch.cluster"); !strings.Contains(got, "NXDOMAIN") || !strings.Contains(got, " aa") {
		c.t.Errorf("unknown name: %s", got)
	}
}

// torrent downloads the image with a foreign client and compares the bytes.
func (c *checker) torrent() {
	rep, err := c.l.Luna(c.ctx, "osimage", "releases", "compute", "--output", "json")
	must(c.t, err)
	_, rest, ok := strings.Cut(rep, `"torrent": "sha256:`)
	if !ok {
		c.t.Fatalf("no torrent in %s", rep)
	}
	dir := folder(c.t)
	c.head("aria2c", "--no-conf", "--enable-dht=false", "--enable-peer-exchange=false", "--bt-enable-lpd=false", "--seed-time=0",
		"--quiet", "--follow-torrent=mem", "-d", dir, "http://10.30.255.254:7050/torrents/"+rest[:64]+".torrent")
	got := c.head("sh", "-c", "cd "+dir+"/luna && sha256sum *")
	lines := strings.Split(got, "\n")
	for _, line := range lines {
		if sum, name, _ := strings.Cut(line, "  "); sum != name {
			c.t.Errorf("downloaded segment %s has the digest %s", name, sum)
		}
	}
	if len(lines) < 2 {
		c.t.Errorf("%d segments", len(lines))
	}
}

// stranger asks the head for all that it has, as an ordinary user of a node:
// there is no secret in it, and the other node's boot stays as it is.
func (c *checker) stranger(address string) {
	const head = "http://10.30.255.254:7050/luna?step="
	before, err := c.l.Luna(c.ctx, "boot", "show", "node002")
	must(c.t, err)
	for _, url := range []string{
		"boot", "choose&page=1", "discovery&hwdata=|52:54:00:aa:00:02", "discovery&hwdata=|52:54:00:aa:00:02&type=syslinux",
		"discovery&hwdata=|02:00:00:00:00:99&node=node002", "install&node=node002", "install&node=node002&status=install.success",
		"secret&node=node002", "secret&node=node001",
	} {
		out := c.ssh(address, "su -s /bin/sh nobody -c 'curl -s \""+head+url+"\"'")
		if out == "" || strings.Contains(out, "luna.token") || strings.Contains(out, "password") {
			c.t.Errorf("step=%s says %q", url, out)
		}
	}
	report := `{"name":"install.success","state":"STATE_OK"}`
	if out := c.ssh(address, "su -s /bin/sh nobody -c 'curl -s -d \"$0\" \""+head+"report&node=node002\"' "+"'"+report+"'"); !strings.Contains(out, "a report counts only from") {
		c.t.Errorf("a report of another node: %s", out)
	}
	if after, err := c.l.Luna(c.ctx, "boot", "show", "node002"); err != nil || after != before {
		c.t.Errorf("the other node's boot was:\n%s\nand is:\n%s", before, after)
	}
}

// urls tries the README's checks.
func (c *checker) urls() {
	const head = "http://10.30.255.254:7050"
	if got := c.head("curl", "-sf", head+"/luna?step=boot"); !strings.HasPrefix(got, "#!ipxe") {
		c.t.Errorf("step=boot: %s", got)
	}
	script := c.head("curl", "-sf", head+"/luna?step=install&node=node001")
	if !strings.HasPrefix(script, "#!/bin/bash") || !strings.Contains(script, "luna-agent payload") {
		c.t.Errorf("step=install: %s", script)
	}
	kernver := c.head("sh", "-c", "ls "+c.l.Image.Root+"/lib/modules")
	c.head("curl", "-sf", "-o", "/dev/null", head+"/boot/compute-vmlinuz-"+kernver)
	for _, s := range []string{"boot", "install"} {
		out, err := c.l.Luna(c.ctx, "node", "show", "node001", "--script", s)
		if err != nil || !strings.HasPrefix(out, "#!") {
			c.t.Errorf("script %s: %s %v", s, out, err)
		}
	}
	c.head("sh", "-c", "printf 'get snponly.efi /dev/null\\nquit\\n' | tftp -m binary 10.30.255.254")
	zones, err := c.l.Luna(c.ctx, "cluster", "makedns")
	if err != nil || !strings.Contains(zones, "30.10.in-addr.arpa") {
		c.t.Errorf("zones: %s %v", zones, err)
	}
}

// restore loses the head with all that it has, and brings it back from a backup.
func (c *checker) restore() {
	file := filepath.Join(c.l.Dir(), "head.backup")
	c.do("backup", file, "--data", c.l.Data(), "--head", "head", "--images")
	before, err := c.l.Luna(c.ctx, "node", "list")
	must(c.t, err)
	must(c.t, c.l.KillHead())
	must(c.t, os.RemoveAll(c.l.Data()))
	c.do("restore", file, "--data", c.l.Data(), "--images", "--offline")
	must(c.t, c.l.StartHead(c.ctx))
	must(c.t, c.l.WaitReady(c.ctx))
	if after, err := c.l.Luna(c.ctx, "node", "list"); err != nil || after != before {
		c.t.Errorf("nodes were:\n%s\nand are, %v:\n%s", before, err, after)
	}
}

// again boots a node a second time: its machine-id stays.
func (c *checker) again(name, address, id string) {
	for _, m := range c.l.Machines() {
		if m.Name != name {
			continue
		}
		must(c.t, m.Reset(c.ctx))
	}
	must(c.t, c.waitDown(address))
	if err := c.l.WaitUp(c.ctx, address); err != nil {
		c.t.Fatalf("%v\n%s", err, story(c.ctx, c.l, name))
	}
	if got := c.ssh(address, "cat /etc/machine-id"); got != id {
		c.t.Errorf("machine-id was %s and is %s", id, got)
	}
	why, err := c.l.Luna(c.ctx, "boot", "why", name)
	if err != nil || !strings.Contains(why, "install.success") {
		c.t.Errorf("why: %s %v", why, err)
	}
}

// waitDown waits until an address no longer answers.
func (c *checker) waitDown(address string) error {
	for range 60 {
		if _, err := c.l.Output(c.ctx, "ping", "-c", "1", "-W", "1", address); err != nil {
			return nil
		}
		time.Sleep(time.Second)
	}
	return fmt.Errorf("%s still answers", address)
}
