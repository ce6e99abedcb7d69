package integration_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/services/integration/room"
)

// TestFailingBootsSayWhyAndRecover lets one machine meet three troubles in
// turn: no image, a script that fails, a blocked torrent.
func TestFailingBootsSayWhyAndRecover(t *testing.T) {
	t.Parallel()
	ctx := limit(t, 40*time.Minute)
	l := open(t, ctx)
	must(t, l.StartHead(ctx))
	must(t, l.Describe(ctx))
	c := &checker{t: t, ctx: ctx, l: l}
	m, err := l.AddNode(ctx, room.BIOS)
	must(t, err)
	address, err := l.Address(ctx, m.Name)
	must(t, err)
	luna := func(args ...string) {
		t.Helper()
		if _, err := l.Luna(ctx, args...); err != nil {
			t.Fatal(err)
		}
	}
	luna("group", "change", "compute", "-o", "")
	_, err = l.LunaWithInput(ctx, "echo no disk in here\nexit 7\n", "group", "change", "compute", "--partscript", "-e")
	must(t, err)
	must(t, m.Start(ctx))

	must(t, c.why("node001", "boot.discovery", "osimage"))
	c.console(m, "osimage")
	luna("group", "change", "compute", "-o", "compute")

	must(t, c.why("node001", "install.partscript", "no disk in here"))
	c.console(m, "no disk in here")
	if got := c.ssh(address, "cat /dev/vcs1"); !strings.Contains(got, "partscript") {
		t.Errorf("tty1 says %q", got)
	}
	must(t, l.Block(ctx, 7051, 7052))
	_, err = l.LunaWithInput(ctx, "mount -t tmpfs -o size=90%,mode=0755 tmpfs /sysroot\n", "group", "change", "compute", "--partscript", "-e")
	must(t, err)

	must(t, c.why("node001", "install.download", ""))
	c.console(m, "payload, still trying")
	must(t, l.Unblock(ctx, 7051, 7052))
	if err := l.WaitUp(ctx, address); err != nil {
		t.Fatalf("%v\n%s", err, story(ctx, l, m.Name))
	}
}

// why waits until `luna boot why` names a step as the first bad one, with a reason.
func (c *checker) why(node, step, reason string) error {
	var out string
	for range 300 {
		var err error
		out, err = c.l.Luna(c.ctx, "boot", "why", node)
		if _, bad, ok := strings.Cut(out, "first bad step:"); err == nil && ok && strings.Contains(bad, step) && strings.Contains(bad, reason) {
			return nil
		}
		select {
		case <-c.ctx.Done():
			return fmt.Errorf("no %s: %s\n%s", step, out, story(c.ctx, c.l, node))
		case <-time.After(time.Second):
		}
	}
	return fmt.Errorf("no %s with %q: %s\n%s", step, reason, out, story(c.ctx, c.l, node))
}

// console waits until the serial console says something.
func (c *checker) console(m *room.Machine, part string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, 2*time.Minute)
	defer cancel()
	for !strings.Contains(m.Console(), part) {
		select {
		case <-ctx.Done():
			c.t.Errorf("the serial console never said %q", part)
			return
		case <-time.After(time.Second):
		}
	}
}
