// Package lab is a virtual room with a head in it that is described as the
// README says and whose machines are its nodes.
package lab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/luna-hpc/luna/services/integration/room"
)

// Options says how to make a lab.
type Options struct {
	// Dir keeps logs, consoles and the head's data; it must exist.
	Dir string
	// Bin is the directory of Luna's programs.
	Bin string
	Log *slog.Logger
	// Said, when set, hears every `luna` command and what it answered.
	Said func(command, answer string)
	// Image are settings of the image, as of room.MakeImage.
	Image []string
}

// Lab is a room with a head.
type Lab struct {
	*room.Room
	Image room.Image

	opt   Options
	creds string
	head  *exec.Cmd
	ended chan error
}

// Open makes the room and the image; the head is not running yet.
func Open(ctx context.Context, opt Options) (*Lab, error) {
	if _, err := os.Stat(filepath.Join(opt.Bin, "luna-head")); err != nil {
		return nil, fmt.Errorf("no programs in %s: run `make build`: %w", opt.Bin, err)
	}
	image, err := room.MakeImage(ctx, opt.Log, opt.Image...)
	if err != nil {
		return nil, err
	}
	r, err := room.Open(ctx, room.Options{Dir: opt.Dir, Key: image.Key, Log: opt.Log})
	if err != nil {
		return nil, err
	}
	return &Lab{Room: r, Image: image, opt: opt, creds: filepath.Join(opt.Dir, "head", "keys", "operator.creds")}, nil
}

// Data is the head's data directory.
func (l *Lab) Data() string { return filepath.Join(l.opt.Dir, "head") }

// UseCreds makes Luna use another operator's key, for a head that was started otherwise.
func (l *Lab) UseCreds(file string) { l.creds = file }

// StartHead starts luna-head in the room and waits until it takes commands. It
// is ready for nodes only when a cluster is described; see WaitReady.
func (l *Lab) StartHead(ctx context.Context) error {
	log, err := os.OpenFile(filepath.Join(l.opt.Dir, "head.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own
	conf := filepath.Join(l.opt.Dir, "head.yaml")
	loaders := filepath.Join(l.opt.Bin, "..", "deploy", "loaders")
	if err := os.WriteFile(conf, []byte("service:\n  image_packer:\n    quick: true\n    ssh_key: "+l.Image.Key+"\n  bootscript:\n    loaders: ["+loaders+", /usr/lib/ipxe]\n"), 0o644); err != nil {
		return err
	}
	l.head = l.Command(context.WithoutCancel(ctx), filepath.Join(l.opt.Bin, "luna-head"), "--config", conf, "--data", l.Data(), "--head", "head", "--log-level", "debug")
	l.head.Stdout, l.head.Stderr = log, log
	if err := l.head.Start(); err != nil {
		return fmt.Errorf("start head: %w", err)
	}
	l.ended = make(chan error, 1)
	go func() { l.ended <- l.head.Wait() }()
	return l.WaitCommands(ctx)
}

// WaitCommands waits until the inventory answers.
func (l *Lab) WaitCommands(ctx context.Context) error {
	return l.until(ctx, func(ctx context.Context) (string, error) { return l.quiet().Luna(ctx, "history") })
}

// quiet is the same lab with nobody told of commands.
func (l *Lab) quiet() *Lab {
	q := *l
	q.opt.Said = nil
	return &q
}

// WaitReady waits until every service of the head does its work.
func (l *Lab) WaitReady(ctx context.Context) error {
	return l.until(ctx, func(ctx context.Context) (string, error) {
		return l.Output(ctx, "curl", "-s", "--fail-with-body", "http://127.0.0.1:7040/readyz")
	})
}

// until tries something again for a minute while the head lives.
func (l *Lab) until(ctx context.Context, try func(context.Context) (string, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for {
		out, err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case err := <-l.ended:
			return fmt.Errorf("the head ended: %w; see %s", err, filepath.Join(l.opt.Dir, "head.log"))
		case <-ctx.Done():
			before, _, _ := strings.Cut(out, `"states"`)
			return fmt.Errorf("the head is not ready: %w: %s", err, before)
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// KillHead ends the head as a power cut of the process would.
func (l *Lab) KillHead() error { return l.endHead(syscall.SIGKILL) }

// StopHead lets the head end in good order.
func (l *Lab) StopHead() error { return l.endHead(syscall.SIGTERM) }

func (l *Lab) endHead(sig syscall.Signal) error {
	if l.head == nil {
		return nil
	}
	if err := syscall.Kill(-l.head.Process.Pid, sig); err != nil {
		return fmt.Errorf("signal the head: %w", err)
	}
	err := <-l.ended
	l.head = nil
	var exit *exec.ExitError
	if sig == syscall.SIGKILL && errors.As(err, &exit) {
		return nil
	}
	return err
}

// Output runs a program in the head's namespace and returns what it printed.
func (l *Lab) Output(ctx context.Context, name string, args ...string) (string, error) {
	return room.Output(l.Command(ctx, name, args...))
}

// Luna runs the command line at the head.
func (l *Lab) Luna(ctx context.Context, args ...string) (string, error) {
	return l.LunaWithInput(ctx, "", args...)
}

// atImages is held by commands that have an image's directory to themselves: heads in several rooms share it.
var atImages sync.Mutex

// LunaWithInput runs the command line at the head with a text piped in.
func (l *Lab) LunaWithInput(ctx context.Context, input string, args ...string) (string, error) {
	if len(args) > 1 && args[0] == "osimage" && (args[1] == "pack" || args[1] == "clone") {
		atImages.Lock()
		defer atImages.Unlock()
	}
	cmd := l.Command(ctx, filepath.Join(l.opt.Bin, "luna"), args...)
	cmd.Env = append(os.Environ(), "LUNA_CREDS="+l.creds)
	cmd.Stdin = strings.NewReader(input)
	out, err := room.Output(cmd)
	if l.opt.Said != nil {
		l.opt.Said("luna "+strings.Join(args, " "), out)
	}
	return out, err
}

// Describe types what the README says: cluster, network, range, image and group.
func (l *Lab) Describe(ctx context.Context) error {
	if err := l.DescribeImage(ctx, l.Image.Root); err != nil {
		return err
	}
	return l.WaitReady(ctx)
}

// DescribeImage is Describe with the image at a path as the packer sees it.
func (l *Lab) DescribeImage(ctx context.Context, path string) error {
	for _, line := range []string{
		"cluster init --frontend_address 10.30.255.254",
		"network add -n cluster -N 10.30.0.0 -P 16 --gateway 10.30.255.254 --nameservers 10.30.255.254",
		"cluster makedhcp --network cluster --start_ip 10.30.128.1 --end_ip 10.30.140.255",
		"cluster change --menu_wait 1",
		"osimage add -n compute -p " + path,
		"osimage change compute --kernopts console=tty0\x00console=ttyS0,115200",
		"osimage pack compute",
		"group add -n compute -o compute -N cluster",
	} {
		args := strings.Fields(line)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "\x00", " ")
		}
		if _, err := l.Luna(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// AddNode adds the next node and a machine of that name with a blank disk.
func (l *Lab) AddNode(ctx context.Context, firmware room.Firmware) (*room.Machine, error) {
	return l.AddNodeLike(ctx, room.Machine{Firmware: firmware})
}

// AddNodeLike adds the next node and a machine of that name, with a blank disk
// unless it has others, that is otherwise as described.
func (l *Lab) AddNodeLike(ctx context.Context, spec room.Machine) (*room.Machine, error) {
	n := len(l.Machines()) + 1
	spec.Name, spec.MAC = fmt.Sprintf("node%03d", n), fmt.Sprintf("52:54:00:aa:00:%02x", n)
	if spec.Disks == nil {
		spec.Disks = []int{4096}
	}
	if _, err := l.Luna(ctx, "node", "add", "-g", "compute", "--mac", spec.MAC); err != nil {
		return nil, err
	}
	return l.AddMachine(spec)
}
