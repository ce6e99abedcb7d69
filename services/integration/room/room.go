// Package room is a virtual machine room: a head's network namespace with a switch, and machines of QEMU that boot from it.
//
// Everything in it ends with [Room.Close], with the context given to [Open], or, when the owner was killed,
// with the next [Sweep].
package room

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Bridge is the name of the switch that the head and all machines are on.
const Bridge = "br0"

// DefaultHeadAddr is the head's address where [Options] name none.
var DefaultHeadAddr = netip.MustParsePrefix("10.30.255.254/16")

// Options say what to make.
type Options struct {
	// Dir takes disks, consoles and logs; it must exist and is left as it is. Empty: a folder that Close removes.
	Dir string
	// HeadAddr is the head's address and prefix length on the bridge; zero: DefaultHeadAddr.
	HeadAddr netip.Prefix
	// Key is the private key file that SSH uses, see [Image].
	Key string
	// Log is told what is made and taken down; nil: nothing is.
	Log *slog.Logger
}

// Room is the head's namespace with the switch, and the machines and hosts on it.
type Room struct {
	opt        Options
	log        *slog.Logger
	claim      *claim
	*Namespace // the head's

	mu       sync.Mutex
	machines []*Machine
	hosts    []*Host
	blocked  map[uint16]bool
	closed   bool

	unwatch   func() bool
	closeOnce sync.Once
	closeErr  error
}

// Open makes a room, after sweeping what killed rooms left. The room closes when ctx ends; still call Close
// to wait for that and to learn whether anything stayed.
func Open(ctx context.Context, opt Options) (*Room, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open room: %w", err)
	}
	if err := need("ip", "nft", "ssh", "qemu-system-x86_64", "qemu-img"); err != nil {
		return nil, fmt.Errorf("open room: %w", err)
	}
	if err := Sweep(ctx); err != nil {
		return nil, fmt.Errorf("open room: %w", err)
	}
	r := &Room{opt: opt, log: opt.Log, blocked: map[uint16]bool{}}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if !r.opt.HeadAddr.IsValid() {
		r.opt.HeadAddr = DefaultHeadAddr
	}
	if err := r.build(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open room: %w", err), r.Close())
	}
	r.unwatch = context.AfterFunc(ctx, func() { _ = r.shut() }) // the error is kept for the owner's Close
	r.log.Info("room opened", "namespace", r.name, "head", r.opt.HeadAddr, "dir", r.opt.Dir)
	return r, nil
}

func (r *Room) build(ctx context.Context) error {
	var err error
	if r.claim, err = newClaim(); err != nil {
		return err
	}
	if r.opt.Dir == "" {
		r.opt.Dir = ownDir(r.claim.name)
		if err := os.MkdirAll(r.opt.Dir, 0o700); err != nil {
			return fmt.Errorf("make the room's folder: %w", err)
		}
	}
	if r.Namespace, err = newNamespace(ctx, r.claim.name); err != nil {
		return err
	}
	return r.makeBridge()
}

// Close takes everything down: machines, all processes in the namespace, taps, bridge, namespace. It can be called
// again, from several goroutines; each call returns when all is down, with the same error.
func (r *Room) Close() error {
	if r.unwatch != nil {
		r.unwatch()
	}
	return r.shut()
}

func (r *Room) shut() error {
	r.closeOnce.Do(func() { r.closeErr = r.takeDown() })
	return r.closeErr
}

func (r *Room) takeDown() error {
	if r.claim == nil {
		return nil
	}
	var errs []error
	machines, hosts := r.last()
	for _, m := range machines {
		errs = append(errs, m.Stop(), m.console.file.Close())
	}
	for _, h := range hosts {
		errs = append(errs, h.remove())
	}
	if r.Namespace != nil {
		errs = append(errs, r.remove())
	}
	errs = append(errs, r.claim.release())
	if r.opt.Dir == ownDir(r.claim.name) {
		errs = append(errs, os.RemoveAll(r.opt.Dir))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close room %s: %w", r.claim.name, err)
	}
	r.log.Info("room closed", "namespace", r.claim.name)
	return nil
}

// Dir is the folder with disks, consoles and logs.
func (r *Room) Dir() string { return r.opt.Dir }

// Head is the head's address on the bridge.
func (r *Room) Head() netip.Addr { return r.opt.HeadAddr.Addr() }

// Machines are those added so far, in that order.
func (r *Room) Machines() []*Machine {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*Machine(nil), r.machines...)
}

// last is all that there will be: no more can be added.
func (r *Room) last() ([]*Machine, []*Host) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return r.machines, r.hosts
}

func (r *Room) path(file string) string { return filepath.Join(r.opt.Dir, file) }

// ownDir is where a room without a folder of its owner keeps its files.
func ownDir(name string) string {
	if !strings.HasPrefix(name, prefix) {
		panic("room without a name")
	}
	return filepath.Join("/var/tmp/luna-room", name)
}
