package web

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/projection"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/bootscript/internal/boot"
	"github.com/luna-hpc/luna/services/bootscript/internal/ipxe"
	"github.com/luna-hpc/luna/services/bootscript/internal/machine"
	"github.com/luna-hpc/luna/services/bootscript/internal/plan"
	"github.com/luna-hpc/luna/services/bootscript/internal/token"
)

// asking is one ?step=discovery.
type asking struct {
	machine machine.Machine
	from    netip.Addr
	// asked is the address of the head that the machine asked.
	asked netip.Addr
	// picked is the node that a person at the machine chose.
	picked   string
	syslinux bool
	// port is where a switch has seen the machine, when that told which node it is.
	port string
	// bound says that the machine's MAC was written to the node just now.
	bound bool
}

// discovery answers ?step=discovery: what the machine shall boot.
func (h *Handler) discovery(r *http.Request) (answer, error) {
	q := r.URL.Query()
	a := asking{machine: machine.Parse(q.Get("hwdata")), from: from(r), asked: asked(r), picked: q.Get("node"), syslinux: q.Get("type") == "syslinux"}
	if len(a.machine.MACs) == 0 {
		return answer{}, fault.Invalidf("hwdata holds no MAC address; it is ASSET|MAC|MAC…")
	}
	node, err := h.find(&a)
	if fault.KindOf(err) == fault.Conflict && a.picked == "" {
		return answer{}, h.unknown(a, err)
	}
	if err != nil {
		return answer{}, err
	}
	if node == nil {
		return answer{}, h.unknown(a, fault.NotFoundf("no node has the MAC address %s", h.bootMAC(a)))
	}
	if node.GetNode().GetMac() == "" {
		refused, err := h.bind(r.Context(), &a, node)
		if err != nil || refused.code != 0 {
			return refused, err
		}
	}
	return h.boot(a, node.GetNode().GetId())
}

// find returns the node that a machine is: the one picked by hand, or the
// first that has one of its MACs, or that of the switch port on which one of
// them was seen; nil when it is none.
func (h *Handler) find(a *asking) (found *inventoryv1.Object, err error) {
	err = h.State.View(func(tx *projection.Tx) error {
		v := catalog.Of(tx)
		if a.picked != "" {
			found, err = picked(v, *a)
			return err
		}
		for _, mac := range a.machine.MACs {
			if found, err = v.HolderOfMAC(string(mac)); found != nil || err != nil {
				return err
			}
		}
		found, err = h.plugged(tx, a)
		return err
	})
	return found, err
}

func picked(v catalog.View, a asking) (*inventoryv1.Object, error) {
	o, err := v.Find(catalog.Node, a.picked)
	switch mac := o.GetNode().GetMac(); {
	case err != nil:
		return nil, err
	case o == nil:
		return nil, fault.NotFoundf("there is no node %.80q", a.picked)
	case mac != "" && !a.machine.Has(mac):
		return nil, fault.Conflictf("node %s has the MAC address %s, which this machine has not", a.picked, mac)
	}
	return o, nil
}

// unknown notes a machine that is no node, and why.
func (h *Handler) unknown(a asking, why error) error {
	refused := ""
	if fault.KindOf(why) == fault.Conflict {
		refused = fault.Public(why)
	}
	mac := h.bootMAC(a)
	if err := h.Unknown.Saw(mac, a.machine, a.from, refused); err != nil {
		h.Log.Error("unknown machine is not kept", "mac", mac, "err", err)
	}
	return why
}

// bootMAC returns the MAC that a machine booted from, as far as it is known.
func (h *Handler) bootMAC(a asking) machine.MAC {
	if mac, ok := h.Exchanges.Find(a.machine, a.from); ok {
		return mac
	}
	return a.machine.MACs[0]
}

// bind writes the MAC that a machine booted from to a node that has none. Only
// a machine that has just been through DHCP at this address may: anybody else
// could ask for any node.
func (h *Handler) bind(ctx context.Context, a *asking, node *inventoryv1.Object) (refused answer, err error) {
	name := node.GetNode().GetName()
	mac, ok := h.Exchanges.Find(a.machine, a.from)
	if !ok {
		return answer{http.StatusForbidden, fmt.Sprintf("node %s is not given this MAC address: the machine has not been through DHCP at %s in the last 5 minutes.\n", name, a.from)}, nil
	}
	reason := "picked by hand at the machine"
	if a.port != "" {
		reason = "seen on " + a.port
	}
	if err := h.Binder.Bind(ctx, name, mac, node.Sequence, reason); err != nil {
		return answer{}, err
	}
	h.Log.Info("MAC is given to a node", "node", name, "mac", mac, "from", a.from, "reason", reason)
	a.bound = true
	return answer{}, nil
}

// boot begins or goes on with the boot of a node.
func (h *Handler) boot(a asking, nodeID string) (answer, error) {
	var p plan.Plan
	var id string
	var fresh bool
	by := boot.ByNothing
	err := h.State.View(func(tx *projection.Tx) error {
		n, err := catalog.Of(tx).Node(nodeID)
		if err != nil {
			return err
		}
		if n == nil {
			return fault.NotFoundf("the node was just deleted")
		}
		if p, err = h.PlanOf(tx, n, a.asked); err != nil {
			return err
		}
		if isOwn(n, a.from) {
			by = boot.ByAddress
		}
		mac, ok := machine.ParseMAC(n.Mac)
		if ok && p.Reason == "" && !n.Localboot && h.Exchanges.Take(mac, a.from) {
			by = boot.ByExchange
		}
		id, fresh, err = h.Book.ForDiscovery(tx, n.Id, by == boot.ByExchange || a.bound)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	h.keepDiscovery(a, p, id, by, fresh)
	return h.write(a, p, id, by == boot.ByExchange)
}

// keepDiscovery keeps the head's own steps of a boot. A head that cannot keep
// them still boots its nodes.
func (h *Handler) keepDiscovery(a asking, p plan.Plan, id, by string, fresh bool) {
	result := &bootscriptv1.Report{Name: boot.Discovery, State: bootscriptv1.State_STATE_OK}
	switch {
	case p.Node.Localboot:
		result.Values = map[string]string{"localboot": "yes"}
	case p.Reason != "":
		result.State, result.Error = bootscriptv1.State_STATE_FAILED, p.Reason
	}
	var reports []*bootscriptv1.Report
	if fresh {
		reports = append(reports, &bootscriptv1.Report{Name: boot.Request, State: bootscriptv1.State_STATE_OK})
	}
	if a.bound {
		reports = append(reports, &bootscriptv1.Report{Name: boot.MACAssigned, State: bootscriptv1.State_STATE_OK, Values: assigned(a, p.Node.Mac)})
	}
	for _, r := range append(reports, result) {
		err := h.Book.Keep(&bootscriptv1.Step{
			BootId: id, NodeId: p.Node.Id, Node: p.Node.Name, Mac: p.Node.Mac, Address: a.from.String(),
			Report: r, By: by, Osimage: p.Osimage.GetName(), Release: p.Release.GetManifest(),
		})
		if err != nil {
			h.Log.Error("step is not kept", "node", p.Node.Name, "boot", id, "step", r.Name, "err", err)
		}
	}
}

func assigned(a asking, mac string) map[string]string {
	values := map[string]string{"mac": mac}
	if a.port != "" {
		values["port"] = a.port
	}
	return values
}

// write writes the script of a boot, with a token when the boot is armed.
func (h *Handler) write(a asking, p plan.Plan, id string, armed bool) (answer, error) {
	again := p.Site.URLs("?step=discovery&hwdata=" + url.QueryEscape(a.machine.HWData()))
	if p.Node.Localboot {
		local := ipxe.Local{Node: p.Node.Name}
		return h.form(a, local.Script, local.Syslinux)
	}
	if p.Reason != "" {
		if a.syslinux || len(again) == 0 {
			return answer{}, fault.Unavailablef("node %s cannot boot: %s", p.Node.Name, p.Reason)
		}
		text, err := ipxe.Trouble{Node: p.Node.Name, Reason: p.Reason, Again: again}.Script()
		return script(text), err
	}
	b := plan.Boot{ID: id, Now: h.Now(), Again: again}
	if armed {
		b.Token = h.token(p.Node, id)
	}
	s := p.Script(b)
	return h.form(a, s.Script, s.Syslinux)
}

// token returns the token of a boot. A head that does not have the key yet gives
// none, and says so: the node boots, without what only a token gets.
func (h *Handler) token(n *inventoryv1.Node, id string) (word string) {
	err := h.State.View(func(tx *projection.Tx) error {
		key, err := h.Keys.Find(tx)
		if err == nil {
			word = token.Mint(key, token.Claims{NodeID: n.Id, MAC: n.Mac, BootID: id, Expires: h.Now().Add(token.Lifetime)})
		}
		return err
	})
	if err != nil {
		h.Log.Error("boot without a token", "node", n.Name, "boot", id, "err", err)
	}
	return word
}

// form calls the writer of the form that the machine's loader reads.
func (h *Handler) form(a asking, forIPXE, forSyslinux func() (string, error)) (answer, error) {
	do := forIPXE
	if a.syslinux {
		do = forSyslinux
	}
	text, err := do()
	return script(text), err
}
