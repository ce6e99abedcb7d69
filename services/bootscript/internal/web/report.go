package web

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/luna-hpc/luna/pkg/projection"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/bootscript/internal/boot"
	"github.com/luna-hpc/luna/services/bootscript/internal/token"
)

// speaker is who a request comes from.
type speaker struct {
	// by is how it was believed; boot.ByNothing when it was not.
	by   string
	from netip.Addr
	// boot is the id of the boot that it speaks of, fresh when it is new.
	boot  string
	fresh bool
}

// believe finds out whether a request comes from a node: by the token of the
// boot that it speaks of, or by the node's own address.
func (h *Handler) believe(tx *projection.Tx, r *http.Request, n *inventoryv1.Node, bootID string) (speaker, error) {
	s := speaker{from: from(r)}
	claims, err := h.claims(tx, r, n)
	if err != nil {
		return s, err
	}
	switch {
	case claims.BootID != "" && (bootID == "" || bootID == claims.BootID):
		s.by, s.boot = boot.ByToken, claims.BootID
		return s, nil
	case !isOwn(n, s.from):
		return s, nil
	}
	s.by, s.boot = boot.ByAddress, bootID
	if bootID != "" {
		return s, h.Book.Admits(tx, n.Id, bootID)
	}
	s.boot, s.fresh, err = h.Book.ForNode(tx, n.Id)
	return s, err
}

// claims returns what a request's token proves; nothing when it has none that is good.
func (h *Handler) claims(tx *projection.Tx, r *http.Request, n *inventoryv1.Node) (token.Claims, error) {
	word, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return token.Claims{}, nil
	}
	key, err := h.Keys.Find(tx)
	if err != nil {
		h.Log.Error("a token cannot be checked, so its report counts by its address only", "node", n.Name, "err", err)
		return token.Claims{}, nil
	}
	c, err := token.Check(key, strings.TrimSpace(word), n.Id, n.Mac, h.Now())
	if errors.Is(err, token.ErrRefused) {
		return token.Claims{}, nil
	}
	if err != nil {
		return token.Claims{}, err
	}
	over, err := h.Book.Over(tx, n.Id, c.BootID)
	if err != nil || over {
		return token.Claims{}, err
	}
	return c, nil
}

// step makes a step of what a speaker says.
func (s speaker) step(n *inventoryv1.Node, r *bootscriptv1.Report) *bootscriptv1.Step {
	return &bootscriptv1.Step{BootId: s.boot, NodeId: n.Id, Node: n.Name, Mac: n.Mac, Address: s.from.String(), Report: r, By: s.by}
}

// status answers the original's ?step=install&node=N&status=S.
func (h *Handler) status(r *http.Request) (answer, error) {
	report, err := boot.Status(r.URL.Query().Get("status"))
	if err != nil {
		return answer{}, err
	}
	return h.keep(r, report)
}

// report answers POST ?step=report&node=N.
func (h *Handler) report(r *http.Request, body []byte) (answer, error) {
	report, err := boot.ParseReport(body)
	if err != nil {
		return answer{}, err
	}
	return h.keep(r, report)
}

// keep keeps a report, on disk before it answers.
func (h *Handler) keep(r *http.Request, report *bootscriptv1.Report) (answer, error) {
	var steps []*bootscriptv1.Step
	err := h.State.View(func(tx *projection.Tx) error {
		n, err := h.node(tx, r)
		if err != nil {
			return err
		}
		who, err := h.believe(tx, r, n, report.BootId)
		if err != nil || who.by == boot.ByNothing {
			return err
		}
		if who.fresh {
			steps = append(steps, who.step(n, &bootscriptv1.Report{Name: boot.Request, State: bootscriptv1.State_STATE_OK}))
		}
		step := who.step(n, report)
		step.Osimage, step.Release, err = h.began(tx, who.boot)
		steps = append(steps, step)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	if len(steps) == 0 {
		return answer{http.StatusForbidden, "a report counts only from the node's own address or with the token of its boot.\n"}, nil
	}
	for _, s := range steps {
		if err := h.Book.Keep(s); err != nil {
			return answer{}, err
		}
	}
	h.Metrics.reports.WithLabelValues(strings.ToLower(strings.TrimPrefix(report.State.String(), "STATE_"))).Inc()
	return answer{http.StatusOK, "ok\n"}, nil
}

// began returns what a boot began with.
func (h *Handler) began(tx *projection.Tx, bootID string) (osimage, release string, err error) {
	steps, err := h.Book.Steps(tx, bootID)
	if err != nil {
		return "", "", err
	}
	if at := slices.IndexFunc(steps, func(s *bootscriptv1.Step) bool { return s.Release != "" }); at >= 0 {
		return steps[at].Osimage, steps[at].Release, nil
	}
	return "", "", nil
}
