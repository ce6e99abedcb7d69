package integration_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/services/integration/lab"
	"github.com/luna-hpc/luna/services/integration/room"
)

// engine is a Docker engine whose host network is the room's.
type engine struct {
	t    *testing.T
	env  []string
	root string
	cmd  *exec.Cmd
}

// startEngine starts dockerd in the room. It keeps the machine's mounts: `ip
// netns exec` would hide the control groups that it needs.
func startEngine(t *testing.T, ctx context.Context, l *lab.Lab, dir string) *engine {
	t.Helper()
	state, err := os.MkdirTemp("", "luna-docker-") // socket paths must be short
	must(t, err)
	must(t, os.MkdirAll(filepath.Join(dir, "ssh"), 0o700))
	log, err := os.Create(filepath.Join(dir, "dockerd.log"))
	must(t, err)
	defer log.Close()
	socket := "unix://" + filepath.Join(state, "docker.sock")
	e := &engine{t: t, root: filepath.Join(bin(t), ".."), env: append(os.Environ(), "DOCKER_HOST="+socket,
		"LUNA_ETC="+filepath.Join(dir, "etc"), "LUNA_DATA="+l.Data(), "LUNA_IMAGES="+filepath.Dir(l.Image.Root), "LUNA_SSH="+filepath.Join(dir, "ssh"))}
	e.cmd = exec.CommandContext(context.WithoutCancel(ctx), "nsenter", "--net=/run/netns/"+l.Name(), "dockerd",
		"--data-root", filepath.Join(state, "data"), "--exec-root", filepath.Join(state, "exec"), "--pidfile", filepath.Join(state, "pid"),
		"-H", socket, "--iptables=false", "--ip6tables=false", "--bridge=none")
	e.cmd.Stdout, e.cmd.Stderr = log, log
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(t, e.cmd.Start())
	t.Cleanup(func() {
		_ = e.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
		_ = e.cmd.Wait()                          // so does its exit status say nothing
		// The engine leaves the namespace of host-network containers mounted.
		if err := unix.Unmount(filepath.Join(state, "exec", "netns", "default"), unix.MNT_DETACH); err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) {
			t.Error(err)
		}
		if err := os.RemoveAll(state); err != nil {
			t.Error(err)
		}
	})
	for range 120 {
		if _, err := e.run(ctx, "docker", "version"); err == nil {
			return e
		}
		time.Sleep(500 * time.Millisecond)
	}
	t.Fatal("dockerd does not answer; see dockerd.log")
	return nil
}

// run runs a program at the top of the repository with the engine's environment.
func (e *engine) run(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = e.root, e.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func (e *engine) must(ctx context.Context, name string, args ...string) string {
	e.t.Helper()
	out, err := e.run(ctx, name, args...)
	if err != nil {
		e.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// down ends the composed head, and keeps what it said when the test failed.
func (e *engine) down(ctx context.Context, dir string) {
	e.t.Helper()
	if e.t.Failed() {
		out, _ := e.run(context.WithoutCancel(ctx), "docker-compose", "-p", "luna", "logs", "--no-color")
		if err := os.WriteFile(filepath.Join(dir, "compose.log"), []byte(out), 0o644); err != nil {
			e.t.Error(err)
		}
	}
	down, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	if out, err := e.run(down, "docker-compose", "-p", "luna", "down", "-t", "5"); err != nil {
		e.t.Errorf("down: %v\n%s", err, out)
	}
}

// TestComposedHeadBootsANode boots a machine from a head that runs as one
// container a service, as compose.yaml says. It and the failing boots, which both mostly boot one machine at a
// time or wait, run beside each other.
func TestComposedHeadBootsANode(t *testing.T) {
	t.Parallel()
	ctx := limit(t, 30*time.Minute)
	l := open(t, ctx)
	dir := l.Dir()
	e := startEngine(t, ctx, l, dir)
	e.must(ctx, "deploy/images.sh", "inventory", "image-packer", "torrent-seeder", "dhcp", "dns", "bootscript", "switch-poller", "power")
	t.Cleanup(func() { e.down(ctx, dir) })
	e.must(ctx, "docker-compose", "-p", "luna", "up", "-d")
	l.UseCreds(filepath.Join(dir, "etc", "operator.creds"))
	must(t, l.WaitCommands(ctx))
	must(t, l.DescribeImage(ctx, l.Image.Root))
	services, err := l.Output(ctx, filepath.Join(bin(t), "..", ".tools", "bin", "nats"), "--nkey", filepath.Join(dir, "etc", "operator.creds"), "service", "ls")
	must(t, err)
	for _, s := range []string{"inventory", "image-packer", "torrent-seeder", "dhcp", "dns", "bootscript", "switch-poller", "power"} {
		if !strings.Contains(services, "luna-"+s) {
			t.Errorf("`nats service ls` lacks luna-%s: %s", s, services)
		}
	}
	m, err := l.AddNode(ctx, room.BIOS)
	must(t, err)
	never, err := l.AddNode(ctx, room.BIOS)
	must(t, err)
	address, err := l.Address(ctx, m.Name)
	must(t, err)
	must(t, m.Start(ctx))
	if err := l.WaitUp(ctx, address); err != nil {
		t.Fatalf("%v\n%s", err, story(ctx, l, m.Name))
	}
	c := &checker{t: t, ctx: ctx, l: l}
	c.want(address, "hostname", m.Name)
	t.Run("images", func(t *testing.T) { newComposedImages(checker{t, ctx, l}, dir).run() })
	c.byHand(filepath.Join(dir, "etc", "operator.creds"))
	t.Run("outage", func(t *testing.T) { (&outage{checker{t, ctx, l}, e}).run(m, never) })
}

// byHand does with nats what the README shows.
func (c *checker) byHand(creds string) {
	nats := func(args ...string) string {
		return c.head(filepath.Join(bin(c.t), "..", ".tools", "bin", "nats"), append([]string{"--nkey", creds}, args...)...)
	}
	if got := nats("req", "luna.cmd.inventory.node.add", `{"group":"compute"}`); !strings.Contains(got, "node003") {
		c.t.Errorf("nats req: %s", got)
	}
	if got := nats("req", "luna.cmd.inventory.node.add", `{"gruop":"compute"}`); !strings.Contains(got, "gruop") {
		c.t.Errorf("nats req with a misspelt field: %s", got)
	}
	nats("pub", "luna.cmd.inventory.node.change", `{"name":"node003","service":true}`)
	for range 50 {
		out, err := c.l.Luna(c.ctx, "node", "show", "node003", "--raw")
		must(c.t, err)
		if strings.Contains(out, `"service": true`) {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	c.t.Error("nats pub changed nothing")
}
