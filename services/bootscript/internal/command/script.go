package command

import (
	"context"
	"net/netip"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/projection"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
	"github.com/luna-hpc/luna/services/bootscript/internal/install"
	"github.com/luna-hpc/luna/services/bootscript/internal/ipxe"
	"github.com/luna-hpc/luna/services/bootscript/internal/plan"
)

// script writes a script as the node would get it now, without beginning a boot.
func (c Commands) script(_ context.Context, _ bus.Call, req *bootscriptv1.ScriptRequest) (*bootscriptv1.ScriptReply, error) {
	var p plan.Plan
	err := c.State.View(func(tx *projection.Tx) error {
		n, err := node(tx, req.Node)
		if err != nil {
			return err
		}
		p, err = c.Planner.PlanOf(tx, n, netip.Addr{})
		return err
	})
	if err != nil {
		return nil, err
	}
	var text string
	switch req.Script {
	case "boot":
		text, err = c.bootScript(p)
	case "install":
		if p.Reason != "" {
			return nil, fault.Unavailablef("node %s cannot be installed: %s", req.Node, p.Reason)
		}
		text, err = install.Of(p).Render()
	default:
		err = fault.Invalidf("there is no script %q; scripts are boot and install", req.Script)
	}
	if err != nil {
		return nil, err
	}
	return &bootscriptv1.ScriptReply{Text: text}, nil
}

func (c Commands) bootScript(p plan.Plan) (string, error) {
	again := p.Site.URLs("?step=discovery&hwdata=|" + p.Node.GetMac())
	switch {
	case p.Node.GetLocalboot():
		return ipxe.Local{Node: p.Node.GetName()}.Script()
	case p.Reason != "":
		return ipxe.Trouble{Node: p.Node.GetName(), Reason: p.Reason, Again: again}.Script()
	}
	return p.Script(plan.Boot{Now: c.Now(), Again: again}).Script()
}
