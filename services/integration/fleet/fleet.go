// Package fleet runs a head's NATS server and services as processes of their own, to be killed one by one.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/luna-hpc/luna/pkg/broker"
	"github.com/luna-hpc/luna/services/integration/room"
)

// NATS is the name of the server among the services.
const NATS = "nats"

// health are the ports of the services' health pages.
var health = map[string]int{"inventory": 7041, "image-packer": 7042, "torrent-seeder": 7043, "dhcp": 7044, "dns": 7045, "bootscript": 7046, "switch-poller": 7047, "power": 7048}

// Options say what a head is made of.
type Options struct {
	// Name of the head.
	Name string
	// Dir keeps its configuration, data and logs; it must exist.
	Dir string
	// Bin is the directory of Luna's programs, Deploy that of the configuration that comes with them.
	Bin, Deploy string
	// Heads are the addresses of all heads when there are several, Address is this one's.
	Heads   []string
	Address string
	// Etc is the configuration of another head of the cluster, whose keys this one gets; "" makes new ones.
	Etc string
}

// Head is a head in a namespace.
type Head struct {
	opt Options
	ns  *room.Namespace

	mu    sync.Mutex
	procs map[string]*process
}

type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// New makes the keys and the configuration; nothing runs yet.
func New(ctx context.Context, ns *room.Namespace, opt Options) (*Head, error) {
	h := &Head{opt: opt, ns: ns, procs: map[string]*process{}}
	if opt.Etc != "" {
		if err := os.CopyFS(h.Etc(), os.DirFS(opt.Etc)); err != nil {
			return nil, fmt.Errorf("copy the keys of another head: %w", err)
		}
	} else if err := os.MkdirAll(h.Etc(), 0o755); err != nil {
		return nil, err
	}
	if err := os.Remove(h.etc("nats/cluster.conf")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if _, err := h.setup(ctx, "keys", "--address", opt.Address, "--heads", strings.Join(opt.Heads, ","), "--keys", h.etc("keys"), "--conf", h.etc("nats/keys.conf"), "--creds", h.etc("operator.creds"),
		"--secret-key", h.etc("secret.key"), "--config", h.Etc()); err != nil {
		return nil, err
	}
	rights, err := os.ReadFile(filepath.Join(opt.Deploy, "nats", "rights.conf"))
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(h.etc("nats/rights.conf"), rights, 0o644); err != nil {
		return nil, err
	}
	conf, err := h.natsConf()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(h.etc("nats/nats.conf"), []byte(conf), 0o644); err != nil {
		return nil, err
	}
	for service, text := range map[string]string{
		"bootscript":   "service:\n  loaders: [" + filepath.Join(opt.Deploy, "loaders") + "]\n",
		"image-packer": "service:\n  agent: " + filepath.Join(opt.Bin, "luna-agent") + "\n  quick: true\n",
	} {
		if err := os.WriteFile(h.etc(service+".yaml"), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// natsConf is deploy/nats/nats.conf with this head's folder.
func (h *Head) natsConf() (string, error) {
	text, err := os.ReadFile(filepath.Join(h.opt.Deploy, "nats", "nats.conf"))
	return strings.ReplaceAll(string(text), "/var/lib/luna/nats", h.Data("nats")), err
}

// Etc is the head's configuration folder.
func (h *Head) Etc() string { return filepath.Join(h.opt.Dir, "etc") }

func (h *Head) etc(name string) string { return filepath.Join(h.Etc(), name) }

// Data is a file or folder of the head's data.
func (h *Head) Data(name ...string) string {
	return filepath.Join(append([]string{h.opt.Dir, "data"}, name...)...)
}

func (h *Head) setup(ctx context.Context, args ...string) (string, error) {
	return room.Output(h.ns.Command(ctx, filepath.Join(h.opt.Bin, "luna-setup"), args...))
}

// Streams makes the streams with so many copies.
func (h *Head) Streams(ctx context.Context, replicas int) error {
	_, err := h.setup(ctx, "streams", "--keys", h.etc("keys"), "--replicas", fmt.Sprint(replicas))
	return err
}

// Services are all services of a head that nodes need.
var Services = []string{"inventory", "image-packer", "torrent-seeder", "dhcp", "dns", "bootscript"}

// Start starts services; one that runs is left alone.
func (h *Head) Start(names ...string) error {
	for _, name := range names {
		if err := h.start(name); err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
	}
	return nil
}

func (h *Head) start(name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.procs[name]; p != nil {
		select {
		case <-p.done:
		default:
			return nil
		}
	}
	log, err := os.OpenFile(filepath.Join(h.opt.Dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own
	program, args := filepath.Join(h.opt.Bin, "nats-server"), []string{"-c", h.etc("nats/nats.conf")}
	if name != NATS {
		program = filepath.Join(h.opt.Bin, "luna-"+name)
		args = []string{"--config", h.etc(name + ".yaml"), "--data", h.Data(), "--head", h.opt.Name, "--key", broker.KeyFile(h.etc("keys"), name), "--secret-key", h.etc("secret.key")}
	}
	cmd := h.ns.Command(context.Background(), program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	// It would be killed with the thread that starts it; what is left at the end goes with the room.
	cmd.SysProcAttr.Pdeathsig = 0
	if err := cmd.Start(); err != nil {
		return err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(p.done) }()
	h.procs[name] = p
	return nil
}

// Kill ends services as a crash does, and waits until they are gone.
func (h *Head) Kill(names ...string) error {
	for _, name := range names {
		h.mu.Lock()
		p := h.procs[name]
		h.mu.Unlock()
		if p == nil {
			return fmt.Errorf("%s does not run", name)
		}
		if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill %s: %w", name, err)
		}
		<-p.done
	}
	return nil
}

// Process returns the id of a service's process, which leads a group of its own; 0 when it was never started.
func (h *Head) Process(name string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.procs[name]; p != nil {
		return p.cmd.Process.Pid
	}
	return 0
}

// KillAll ends everything that still runs.
func (h *Head) KillAll() error {
	h.mu.Lock()
	var names []string
	for name := range h.procs {
		names = append(names, name)
	}
	h.mu.Unlock()
	return h.Kill(names...)
}

// Crashed returns the services that ended though nobody killed them just now.
func (h *Head) Crashed() (names []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, p := range h.procs {
		select {
		case <-p.done:
			names = append(names, name)
		default:
		}
	}
	return names
}

// Luna runs the command line.
func (h *Head) Luna(ctx context.Context, args ...string) (string, error) {
	cmd := h.ns.Command(ctx, filepath.Join(h.opt.Bin, "luna"), args...)
	cmd.Env = append(os.Environ(), "LUNA_CREDS="+h.etc("operator.creds"))
	return room.Output(cmd)
}

// Output runs a program in the head's namespace.
func (h *Head) Output(ctx context.Context, name string, args ...string) (string, error) {
	return room.Output(h.ns.Command(ctx, name, args...))
}
