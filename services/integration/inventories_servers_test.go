package integration_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/testenv"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/integration/ledger"
)

// program returns one of Luna's programs, built here when `make build` did not.
func program(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(bin(t), name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	source := "../cmd/" + name
	if name == "nats-server" {
		source = "github.com/nats-io/nats-server/v2"
	}
	path = filepath.Join(dir, name)
	out, err := exec.CommandContext(t.Context(), testenv.Program(t, "go"), "build", "-buildvcs=false", "-tags", "nosqlite disable_libutp", "-o", path, source).CombinedOutput()
	if err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return path
}

// daemon is a process that can be killed and started again.
type daemon struct {
	path string
	args []string
	log  string

	mu   sync.Mutex
	cmd  *exec.Cmd
	over chan struct{}
}

// start starts the process; its output goes behind what earlier lives wrote.
func (d *daemon) start() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	out, err := os.OpenFile(d.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd, over := exec.Command(d.path, d.args...), make(chan struct{})
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	d.cmd, d.over = cmd, over
	go func() { _ = cmd.Wait(); close(over) }() // it ends by SIGKILL
	return nil
}

// kill ends the process with SIGKILL and waits for it. That it has ended by
// itself is an error.
func (d *daemon) kill() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cmd == nil {
		return nil
	}
	cmd := d.cmd
	d.cmd = nil
	select {
	case <-d.over:
		return fmt.Errorf("%s has ended by itself: %s; see %s", filepath.Base(d.path), cmd.ProcessState, d.log)
	default:
	}
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-d.over:
		return nil
	case <-time.After(20 * time.Second):
		return fmt.Errorf("process %d outlived SIGKILL", cmd.Process.Pid)
	}
}

// heads are servers and two inventories on loopback, with the keys and rights
// of a real head.
type heads struct {
	*testing.T
	ctx         context.Context
	dir         string
	urls        string
	servers     []*daemon
	inventories []*daemon
	health      []string
	conn        *bus.Conn
}

func newHeads(t *testing.T, ctx context.Context, servers int) *heads {
	t.Helper()
	h := &heads{T: t, ctx: ctx, dir: folder(t)}
	h.makeKeys()
	var ports []string
	for _, port := range testenv.FreePorts(t, 2*servers+2) {
		ports = append(ports, strconv.Itoa(port))
	}
	var urls, routes []string
	for i := range servers {
		urls = append(urls, "nats://127.0.0.1:"+ports[2*i])
		routes = append(routes, "nats://127.0.0.1:"+ports[2*i+1])
	}
	h.urls = strings.Join(urls, ",")
	for i := range servers {
		name := fmt.Sprintf("nats%d", i+1)
		args := []string{"-c", h.configuration(name), "-a", "127.0.0.1", "-p", ports[2*i], "-n", name}
		if servers > 1 {
			args = append(args, "--cluster_name", "luna", "--cluster", routes[i], "--routes", strings.Join(routes, ","))
		}
		h.servers = append(h.servers, h.daemon(name, "nats-server", args...))
	}
	for i, d := range h.servers {
		h.awaitServer(d, "127.0.0.1:"+ports[2*i])
	}
	h.once("luna-setup", "streams", "--keys", h.keys(), "--nats", h.urls, "--replicas", strconv.Itoa(servers))
	for i := range 2 {
		name, health := fmt.Sprintf("inventory%d", i+1), "127.0.0.1:"+ports[2*servers+i]
		h.health = append(h.health, health)
		h.inventories = append(h.inventories, h.daemon(name, "luna-inventory", "--config", filepath.Join(h.dir, "inventory.yaml"),
			"--nats", h.urls, "--key", filepath.Join(h.keys(), "inventory.nk"), "--data", filepath.Join(h.dir, name),
			"--health", health, "--secret-key", filepath.Join(h.dir, "secret.key")))
	}
	h.conn = h.connect()
	h.waitReady()
	return h
}

func (h *heads) keys() string { return filepath.Join(h.dir, "keys") }

// makeKeys makes keys as on a real head, and puts the rights of deploy/ beside them.
func (h *heads) makeKeys() {
	h.Helper()
	rights, err := os.ReadFile("../../deploy/nats/rights.conf")
	must(h.T, err)
	must(h.T, os.WriteFile(filepath.Join(h.dir, "rights.conf"), rights, 0o600))
	h.once("luna-setup", "keys", "--keys", h.keys(), "--conf", filepath.Join(h.dir, "keys.conf"), "--creds", filepath.Join(h.dir, "operator.creds"),
		"--secret-key", filepath.Join(h.dir, "secret.key"), "--config", h.dir)
}

// configuration writes the one of deploy/ for a server with a folder of its own.
func (h *heads) configuration(name string) string {
	h.Helper()
	data, err := os.ReadFile("../../deploy/nats/nats.conf")
	must(h.T, err)
	own := strings.Replace(string(data), "/var/lib/luna/nats", filepath.Join(h.dir, name), 1)
	if own == string(data) {
		h.Fatal("deploy/nats/nats.conf does not keep its streams in /var/lib/luna/nats")
	}
	path := filepath.Join(h.dir, name+".conf")
	must(h.T, os.WriteFile(path, []byte(own), 0o600))
	return path
}

// once runs a program to its end.
func (h *heads) once(name string, args ...string) {
	h.Helper()
	cmd := exec.CommandContext(h.ctx, program(h.T, h.dir, name), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if out, err := cmd.CombinedOutput(); err != nil {
		h.Fatalf("%s %s: %v\n%s", name, args[0], err, out)
	}
}

// daemon starts a process that ends with the test.
func (h *heads) daemon(name, prog string, args ...string) *daemon {
	h.Helper()
	d := &daemon{path: program(h.T, h.dir, prog), args: args, log: filepath.Join(h.dir, name+".log")}
	must(h.T, d.start())
	h.Cleanup(func() {
		if err := d.kill(); err != nil {
			h.Error(err)
		}
	})
	return d
}

// connect connects as the operator.
func (h *heads) connect() *bus.Conn {
	h.Helper()
	c, err := bus.Connect(bus.Options{URL: h.urls, User: "operator", KeyFile: filepath.Join(h.dir, "operator.creds"), Log: slog.New(slog.DiscardHandler)})
	must(h.T, err)
	h.Cleanup(c.Close)
	return c
}

// until waits for a condition, at most as long as the test may take; then the test has failed.
func (h *heads) until(what string, is func(context.Context) error) {
	h.Helper()
	for {
		ctx, cancel := context.WithTimeout(h.ctx, 5*time.Second)
		err := is(ctx)
		cancel()
		if err == nil {
			return
		}
		select {
		case <-h.ctx.Done():
			h.Errorf("not in time: %s: %v", what, err)
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// awaitServer waits until a server accepts connections.
func (h *heads) awaitServer(d *daemon, addr string) {
	h.Helper()
	h.until("the server listens", func(context.Context) error {
		select {
		case <-d.over:
			return nil
		default:
		}
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		return c.Close()
	})
	select {
	case <-d.over:
		said, err := os.ReadFile(d.log)
		h.Fatalf("%s has ended (log read: %v):\n%s", d.path, err, said)
	default:
	}
}

// waitReady waits until all servers and both inventories do their work.
func (h *heads) waitReady() {
	h.Helper()
	h.until("the stream has all its copies", h.whole)
	for _, addr := range h.health {
		h.until("the inventory is ready", func(ctx context.Context) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/readyz", nil)
			if err != nil {
				return err
			}
			rep, err := http.DefaultClient.Do(req)
			if err != nil {
				return err
			}
			defer rep.Body.Close()
			if rep.StatusCode != http.StatusOK {
				return errors.New(rep.Status)
			}
			return nil
		})
	}
	h.until("an inventory answers", func(ctx context.Context) error {
		_, err := bus.Request(ctx, h.conn, subject.Command("inventory", "history", "list"), &inventoryv1.HistoryRequest{}, &inventoryv1.HistoryReply{})
		return err
	})
}

// whole is nil while every copy of the stream INVENTORY is up to date.
func (h *heads) whole(ctx context.Context) error {
	stream, err := h.conn.JS.Stream(ctx, subject.Inventory)
	if err != nil {
		return err
	}
	c := stream.CachedInfo().Cluster
	if len(h.servers) == 1 {
		return nil
	}
	if c == nil || c.Leader == "" || len(c.Replicas) != len(h.servers)-1 {
		return fmt.Errorf("the stream has no leader or not all copies: %+v", c)
	}
	for _, r := range c.Replicas {
		if !r.Current || r.Offline {
			return fmt.Errorf("copy %s is not current", r.Name)
		}
	}
	return nil
}

// leader returns the server that leads the stream INVENTORY; nil when there is none in time.
func (h *heads) leader() (lead *daemon) {
	h.until("the stream has a leader", func(ctx context.Context) error {
		stream, err := h.conn.JS.Stream(ctx, subject.Inventory)
		if err != nil {
			return err
		}
		i := 0
		if c := stream.CachedInfo().Cluster; len(h.servers) > 1 {
			i = slices.IndexFunc(h.servers, func(d *daemon) bool { return c != nil && slices.Contains(d.args, c.Leader) })
			if i < 0 {
				return fmt.Errorf("leader %+v is none of the servers", c)
			}
		}
		lead = h.servers[i]
		return nil
	})
	return lead
}

// killLeader kills the server that leads the stream, starts it again after a
// while and waits until the stream has all its copies: of three servers only
// one may be missing.
func (h *heads) killLeader(away time.Duration) {
	lead := h.leader()
	if lead == nil {
		return
	}
	if err := lead.kill(); err != nil {
		h.Error(err)
	}
	pause(h.ctx, away)
	if err := lead.start(); err != nil {
		h.Error(err)
	}
	h.until("the stream has all its copies", h.whole)
}

// ledger reads the raw stream.
func (h *heads) ledger() (all []ledger.Message) {
	h.until("the stream can be read", func(ctx context.Context) (err error) {
		all, err = ledger.Read(ctx, h.conn.JS)
		return err
	})
	return all
}

// describe makes the cluster that nodes are added to.
func (h *heads) describe() {
	h.Helper()
	type change struct {
		noun, verb string
		req        proto.Message
	}
	changes := []change{
		{"cluster", "init", &inventoryv1.ClusterInitRequest{FrontendAddress: "10.30.0.3"}}, // amid the nodes
		{"network", "add", &inventoryv1.NetworkAddRequest{Name: "cluster", Network: "10.30.0.0", Prefix: 16, Gateway: "10.30.0.5"}},
		{"cluster", "makedhcp", &inventoryv1.ClusterMakedhcpRequest{Network: "cluster", StartIp: "10.30.0.50", EndIp: "10.30.0.80"}},
		{"osimage", "add", &inventoryv1.OsimageAddRequest{Name: "compute", Path: "/opt/luna/os/compute", Head: "head"}},
		{"network", "add", &inventoryv1.NetworkAddRequest{Name: storage, Network: "10.31.0.0", Prefix: 16}},
		{"group", "add", &inventoryv1.GroupAddRequest{Name: "compute", Osimage: "compute", Network: "cluster"}},
	}
	for i := range scripts {
		changes = append(changes, change{"group", "add", &inventoryv1.GroupAddRequest{Name: edited(i), Osimage: "compute", Network: "cluster"}})
	}
	for _, c := range changes {
		_, err := bus.Request(h.ctx, h.conn, subject.Command("inventory", c.noun, c.verb), c.req, &inventoryv1.ChangeReply{})
		must(h.T, err)
	}
}
