package web

import (
	"fmt"
	"strconv"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/projection"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	switchpollerv1 "github.com/luna-hpc/luna/proto/switchpoller/v1"
	"github.com/luna-hpc/luna/services/bootscript/internal/learned"
)

// plugged returns the node that is configured for the switch port on which one
// of a machine's MACs was seen; nil when there is none. Two nodes, or one that
// is another machine already, are a Conflict.
func (h *Handler) plugged(tx *projection.Tx, a *asking) (*inventoryv1.Object, error) {
	var found *inventoryv1.Node
	for _, mac := range a.machine.MACs {
		places, err := learned.Places(tx, mac, h.Now())
		if err != nil {
			return nil, err
		}
		for _, p := range places {
			n, port, err := at(catalog.Of(tx), p)
			switch {
			case err != nil:
				return nil, err
			case n == nil || n.Id == found.GetId():
				continue
			case found != nil:
				return nil, fault.Conflictf("the machine is on %s, the port of node %s, and on %s, the port of node %s", a.port, found.Name, port, n.Name)
			case n.Mac != "":
				return nil, fault.Conflictf("the machine is on %s, the port of node %s, which has the MAC address %s", port, n.Name, n.Mac)
			}
			found, a.port = n, port
		}
	}
	if found == nil {
		return nil, nil
	}
	return catalog.Of(tx).Object(catalog.Node, found.Id)
}

// at returns the node that is configured for a place, by the port's name or
// else by its number, and the place in words.
func at(v catalog.View, p *switchpollerv1.Seen) (*inventoryv1.Node, string, error) {
	s, err := v.Switch(p.SwitchId)
	if err != nil || s == nil {
		return nil, "", err
	}
	n, err := v.NodeByPort(p.SwitchId, p.PortName)
	if err == nil && n == nil && p.PortNumber > 0 {
		n, err = v.NodeByPort(p.SwitchId, strconv.FormatUint(uint64(p.PortNumber), 10))
	}
	return n, Place(s, p), err
}

// Place says where a switch has seen a MAC, in words.
func Place(s *inventoryv1.Switch, p *switchpollerv1.Seen) string {
	return fmt.Sprintf("switch %s port %s (%d)", s.GetName(), p.PortName, p.PortNumber)
}
