package lab

import (
	"context"
	"fmt"
	"strings"

	"github.com/luna-hpc/luna/pkg/wire"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// Steps returns the steps of a node's newest boot; none when it has not booted yet.
func (l *Lab) Steps(ctx context.Context, node string) (*bootscriptv1.BootShowReply, error) {
	quiet := *l
	quiet.opt.Said = nil
	out, err := quiet.Luna(ctx, "boot", "show", node, "--output", "json")
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

// Address returns a node's address on BOOTIF.
func (l *Lab) Address(ctx context.Context, node string) (string, error) {
	quiet := *l
	quiet.opt.Said = nil
	out, err := quiet.Luna(ctx, "node", "show", node, "--raw")
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
