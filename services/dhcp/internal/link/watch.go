// Package link knows this host's network interfaces and keeps DHCP sockets on
// those that are to be answered on.
package link

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"sync"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/luna-hpc/luna/services/dhcp/internal/plan"
)

// look is how often interfaces are listed when the kernel says nothing.
const look = 10 * time.Second

// Watch is a task that follows the interfaces and their addresses.
type Watch struct {
	log     *slog.Logger
	mu      sync.Mutex
	links   []plan.Link
	changed chan struct{}
}

// NewWatch returns a watch that knows the interfaces of now.
func NewWatch(log *slog.Logger) (*Watch, error) {
	links, err := List()
	if err != nil {
		return nil, err
	}
	return &Watch{log: log, links: links, changed: make(chan struct{})}, nil
}

// List returns the interfaces with IPv4 addresses, without loopback.
func List() ([]plan.Link, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	var links []plan.Link
	for _, i := range all {
		l := plan.Link{Index: i.Index, Name: i.Name}
		addrs, err := i.Addrs()
		if err != nil || i.Flags&net.FlagLoopback != 0 || i.Flags&net.FlagUp == 0 {
			continue // it went away, or cannot carry DHCP
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil {
				addr, _ := netip.AddrFromSlice(n.IP.To4())
				l.Addrs = append(l.Addrs, addr)
			}
		}
		if len(l.Addrs) > 0 {
			links = append(links, l)
		}
	}
	return links, nil
}

// Links returns the interfaces and a channel that closes when they change.
func (w *Watch) Links() ([]plan.Link, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.links, w.changed
}

// Run follows the kernel's messages until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	done := make(chan struct{})
	addrs, links := make(chan netlink.AddrUpdate, 16), make(chan netlink.LinkUpdate, 16)
	if err := netlink.AddrSubscribe(addrs, done); err != nil {
		return fmt.Errorf("follow addresses: %w", err)
	}
	defer drain(addrs)
	if err := netlink.LinkSubscribe(links, done); err != nil {
		close(done)
		return fmt.Errorf("follow interfaces: %w", err)
	}
	defer drain(links)
	defer close(done)
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		w.list()
		select {
		case _, ok := <-addrs:
			addrs = keep(addrs, ok)
		case _, ok := <-links:
			links = keep(links, ok)
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// keep drops a channel that was closed; listing at intervals goes on.
func keep[T any](c chan T, ok bool) chan T {
	if !ok {
		return nil
	}
	return c
}

// drain takes what still comes until the sender has ended.
func drain[T any](c chan T) {
	for range c {
	}
}

func (w *Watch) list() {
	links, err := List()
	if err != nil {
		w.log.Warn("interfaces are as they were", "err", err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if reflect.DeepEqual(links, w.links) {
		return
	}
	w.links = links
	close(w.changed)
	w.changed = make(chan struct{})
}

// Ready is always nil.
func (w *Watch) Ready() error { return nil }

// String returns "links".
func (w *Watch) String() string { return "links" }
