package lab

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/luna-hpc/luna/pkg/wire"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// Steps returns the steps of a node's newest boot; none when it has not booted yet.
func (l *Lab) Steps(ctx context.Context, node string) (*bootscriptv1.BootShowReply, error) {
	out, err := l.quiet().Luna(ctx, "boot", "show", node, "--output", "json")
	if err != nil && strings.Contains(err.Error(), "(not found)") {
		return &bootscriptv1.BootShowReply{Node: node}, nil
	}
	if err != nil {
		return nil, err
	}
	rep := &bootscriptv1.BootShowReply{}
	if err := wire.Event([]byte(out), rep); err != nil {
		return nil, fmt.Errorf("decode the steps of %s: %w", node, err)
	}
	return rep, nil
}

// WaitUp waits until the installed system of a node has reached multi-user, by
// ssh; the initrd answers ssh too, with nothing that could say so.
func (l *Lab) WaitUp(ctx context.Context, address string) error {
	return l.waitFor(ctx, address, "systemctl is-active multi-user.target", func(out string) bool { return out == "active" }, "reached multi-user")
}

// WaitService waits until a node is in service mode and lets one in.
func (l *Lab) WaitService(ctx context.Context, address string) error {
	return l.waitFor(ctx, address, "cat /proc/cmdline", func(out string) bool { return strings.Contains(out, "luna.service=1") }, "come to service mode")
}

// waitFor asks a node by ssh again and again.
func (l *Lab) waitFor(ctx context.Context, address, command string, good func(out string) bool, what string) error {
	for {
		out, err := l.SSH(ctx, address, command)
		if err == nil && good(strings.TrimSpace(out)) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s has not %s: %w", address, what, err)
		case <-time.After(time.Second):
		}
	}
}

// Address returns a node's address on BOOTIF.
func (l *Lab) Address(ctx context.Context, node string) (string, error) {
	out, err := l.quiet().Luna(ctx, "node", "show", node, "--raw")
	if err != nil {
		return "", err
	}
	o := &inventoryv1.Object{}
	if err := wire.Event([]byte(out), o); err != nil {
		return "", fmt.Errorf("decode node %s: %w", node, err)
	}
	for _, a := range o.GetNode().GetAddresses() {
		if a.Interface == "BOOTIF" {
			return a.Address, nil
		}
	}
	return "", fmt.Errorf("node %s has no address on BOOTIF", node)
}
