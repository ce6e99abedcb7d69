package web

import (
	"net/http"
	"slices"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/projection"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/bootscript/internal/boot"
	"github.com/luna-hpc/luna/services/bootscript/internal/install"
	"github.com/luna-hpc/luna/services/bootscript/internal/plan"
)

// node finds the node that a request names.
func (h *Handler) node(tx *projection.Tx, r *http.Request) (*inventoryv1.Node, error) {
	name := r.URL.Query().Get("node")
	n, err := catalog.Of(tx).NodeNamed(name)
	if err == nil && n == nil {
		err = fault.NotFoundf("there is no node %.80q", name)
	}
	return n, err
}

// install answers ?step=install&node=N. Whoever asks gets the script, which
// holds no secrets; only the node itself makes it part of a boot.
func (h *Handler) install(r *http.Request) (answer, error) {
	var p plan.Plan
	var begins *bootscriptv1.Step
	err := h.State.View(func(tx *projection.Tx) error {
		n, err := h.node(tx, r)
		if err != nil {
			return err
		}
		if p, err = h.PlanOf(tx, n, asked(r)); err != nil {
			return err
		}
		who, err := h.believe(tx, r, n, "")
		if err != nil || who.by == boot.ByNothing {
			return err
		}
		if who.fresh {
			begins = who.step(n, &bootscriptv1.Report{Name: boot.Request, State: bootscriptv1.State_STATE_OK})
			begins.Osimage, begins.Release = p.Osimage.GetName(), p.Release.GetManifest()
			return nil
		}
		return h.pin(tx, &p, who.boot)
	})
	if err != nil {
		return answer{}, err
	}
	if begins != nil {
		if err := h.Book.Keep(begins); err != nil {
			return answer{}, err
		}
	}
	if p.Reason != "" {
		return answer{}, fault.Unavailablef("node %s cannot be installed: %s", p.Node.GetName(), p.Reason)
	}
	text, err := install.Of(p).Render()
	return script(text), err
}

// pin makes a node install the release that its boot began with: its kernel
// line names that one and the agent takes no other.
func (h *Handler) pin(tx *projection.Tx, p *plan.Plan, bootID string) error {
	steps, err := h.Book.Steps(tx, bootID)
	if err != nil {
		return err
	}
	for _, s := range slices.Backward(steps) {
		if s.Report.GetName() != boot.Discovery || s.Release == "" {
			continue
		}
		began, err := h.Shelf.Release(tx, p.Osimage.GetId(), s.Release)
		if err == nil && began != nil {
			p.Take(began)
		}
		return err
	}
	return nil
}
