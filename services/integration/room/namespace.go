package room

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// Namespace is a network namespace of the room, known to ip(8) by its name.
type Namespace struct {
	name   string
	handle netns.NsHandle
	links  *netlink.Handle
}

// newNamespace leaves the making to ip(8), which shares /run/netns between mount namespaces: only so can a
// namespace be removed while processes run in another. Its loopback is up.
func newNamespace(ctx context.Context, name string) (*Namespace, error) {
	if err := ip(ctx, "netns", "add", name); err != nil {
		return nil, err
	}
	n := &Namespace{name: name, handle: netns.None()}
	if err := n.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open namespace %s: %w", name, err), n.remove())
	}
	return n, nil
}

func (n *Namespace) open() error {
	var err error
	if n.handle, err = netns.GetFromName(n.name); err != nil {
		return err
	}
	if n.links, err = netlink.NewHandleAt(n.handle); err != nil {
		return err
	}
	return n.up("lo")
}

// Name is the namespace's name, for `ip netns exec`.
func (n *Namespace) Name() string { return n.name }

func (n *Namespace) up(name string) error {
	link, err := n.links.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find link %s: %w", name, err)
	}
	if err := n.links.LinkSetUp(link); err != nil {
		return fmt.Errorf("set link %s up: %w", name, err)
	}
	return nil
}

// give gives a link an address and sets it up.
func (n *Namespace) give(name string, addr netip.Prefix) error {
	link, err := n.links.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find link %s: %w", name, err)
	}
	mask := net.CIDRMask(addr.Bits(), addr.Addr().BitLen())
	a := &netlink.Addr{IPNet: &net.IPNet{IP: addr.Addr().AsSlice(), Mask: mask}}
	if err := n.links.AddrAdd(link, a); err != nil {
		return fmt.Errorf("give link %s address %s: %w", name, addr, err)
	}
	return n.up(name)
}

// Do runs fn on a thread that is in the namespace: sockets that fn opens stay there. Goroutines that fn
// starts are not in the namespace.
func (n *Namespace) Do(fn func() error) (err error) {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open this thread's namespace: %w", err)
	}
	defer home.Close()
	if err := netns.Set(n.handle); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter namespace %s: %w", n.name, err)
	}
	defer func() {
		if back := netns.Set(home); back != nil {
			// The thread stays locked and so dies with the goroutine: nothing else may run on it.
			err = errors.Join(err, fmt.Errorf("leave namespace %s: %w", n.name, back))
			return
		}
		runtime.UnlockOSThread()
	}()
	return fn()
}

// remove takes the links down first: a socket that somebody still holds would keep the namespace, and with
// it the links, alive after its name is gone.
func (n *Namespace) remove() error {
	err := killAll(n.name)
	if n.links != nil {
		err = errors.Join(err, n.removeLinks())
		n.links.Close()
	}
	if n.handle.IsOpen() {
		err = errors.Join(err, n.handle.Close())
	}
	return errors.Join(err, removeNamespace(context.Background(), n.name))
}

func (n *Namespace) removeLinks() error {
	links, err := n.links.LinkList()
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	var errs []error
	for _, l := range links {
		switch l.Type() {
		case "bridge", "tuntap", "veth":
			errs = append(errs, n.links.LinkDel(l))
		}
	}
	return errors.Join(errs...)
}

// removeNamespace ends all processes in a namespace and removes it; one that is not there is no error.
func removeNamespace(ctx context.Context, name string) error {
	_, err := os.Stat(netnsPath(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for namespace %s: %w", name, err)
	}
	if err := killAll(name); err != nil {
		return err
	}
	return ip(ctx, "netns", "delete", name)
}

func netnsPath(name string) string { return filepath.Join("/run/netns", name) }

func ip(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
