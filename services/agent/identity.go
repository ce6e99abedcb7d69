package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/luna-hpc/luna/services/agent/internal/identity"
	"github.com/luna-hpc/luna/services/agent/internal/netfile"
	"github.com/luna-hpc/luna/services/agent/internal/netif"
	"github.com/luna-hpc/luna/services/agent/internal/report"
	"github.com/luna-hpc/luna/services/agent/internal/sysroot"
)

// setnet is the step that identity begins and network ends.
const setnet = "install.setnet"

// identity writes who the node is into the installed system.
func (t *tool) identity(ctx context.Context, args []string) error {
	t.report.Started(ctx, setnet, "luna-agent identity")
	begin := time.Now()
	err := none(args)
	var changed []string
	if err == nil {
		changed, err = t.writeIdentity()
	}
	if err != nil {
		t.report.Ended(ctx, setnet, time.Since(begin), report.Result{Tried: "luna-agent identity"}, err)
		return t.failed(setnet, err)
	}
	t.log.Info("identity written", "changed", strings.Join(changed, " "))
	return nil
}

func (t *tool) writeIdentity() (changed []string, err error) {
	id, err := identity.Parse(t.in)
	if err != nil {
		return nil, err
	}
	tree, err := sysroot.Open(t.root)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	return id.Write(tree)
}

// network writes how the node's cards are configured into the installed system.
func (t *tool) network(ctx context.Context, args []string) error {
	begin := time.Now()
	err := none(args)
	var r netfile.Result
	if err == nil {
		r, err = t.writeNetwork()
	}
	result := report.Result{Tried: "luna-agent network", Values: map[string]string{
		"manager": r.Manager, "enabled": strings.Join(r.Enabled, ", "), "changed": strings.Join(r.Changed, " "),
	}}
	t.report.Ended(ctx, setnet, time.Since(begin), result, err)
	if err != nil {
		return t.failed(setnet, err)
	}
	t.log.Info("network written", "manager", r.Manager, "changed", strings.Join(r.Changed, " "))
	return nil
}

func (t *tool) writeNetwork() (r netfile.Result, err error) {
	n, err := netfile.Parse(t.in)
	if err != nil {
		return r, err
	}
	tree, err := sysroot.Open(t.root)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	return n.Write(tree, cards{})
}

// cards are those of this machine under the names that udev has given them.
type cards struct{}

// Name returns the name of the card with a MAC.
func (cards) Name(mac string) (string, error) {
	hw, err := net.ParseMAC(mac)
	if err != nil {
		return "", fmt.Errorf("MAC address: %w", err)
	}
	return netif.Find(hw)
}

// MAC returns the permanent MAC of the card with a name, "" when there is none.
func (cards) MAC(name string) (string, error) {
	hw, err := netif.MAC(name)
	return hw.String(), err
}
