package web

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/secret"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/bootscript/internal/boot"
	"github.com/luna-hpc/luna/services/bootscript/internal/hardware"
	"github.com/luna-hpc/luna/services/bootscript/internal/loader"
	"github.com/luna-hpc/luna/services/bootscript/internal/machine"
	"github.com/luna-hpc/luna/services/bootscript/internal/plan"
	"github.com/luna-hpc/luna/services/bootscript/internal/token"
	"github.com/luna-hpc/luna/services/bootscript/internal/unknown"
)

// Binder writes a MAC to a node; the object's sequence must still be the one given.
type Binder interface {
	Bind(ctx context.Context, node string, mac machine.MAC, sequence uint64, reason string) error
}

// Handler answers all that nodes ask.
type Handler struct {
	Planner
	State     *projection.State
	Book      *boot.Book
	Hardware  *hardware.Ledger
	Unknown   *unknown.List
	Exchanges *token.Exchanges
	Keys      *token.Keys
	Secrets   secret.Key
	Loaders   loader.Dirs
	Binder    Binder
	Metrics   *Metrics
	Log       *slog.Logger
	Now       func() time.Time
}

// answer is what a step says: a text and its status.
type answer struct {
	code int
	text string
}

func script(text string) answer { return answer{http.StatusOK, text} }

// Routes returns the handler of all URLs.
func (h *Handler) Routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /luna", h.get)
	mux.HandleFunc("POST /luna", h.post)
	mux.HandleFunc("GET /boot/{name}", h.file)
	for _, path := range []string{"GET /torrents/", "GET /announce", "GET /scrape"} {
		mux.HandleFunc(path, h.redirect)
	}
	return record(stepLabel, h.Metrics, h.Log, mux)
}

var steps = map[string]bool{"boot": true, "choose": true, "discovery": true, "install": true, "report": true, "status": true, "secret": true, "hardware": true}

// stepLabel names a request by one of few words.
func stepLabel(r *http.Request) string {
	if r.URL.Path != "/luna" {
		switch {
		case len(r.URL.Path) > 6 && r.URL.Path[:6] == "/boot/":
			return "file"
		case r.URL.Path == "/announce" || r.URL.Path == "/scrape" || len(r.URL.Path) > 10 && r.URL.Path[:10] == "/torrents/":
			return "redirect"
		}
		return "other"
	}
	q := r.URL.Query()
	step := q.Get("step")
	if step == "install" && q.Has("status") {
		step = "status"
	}
	if !steps[step] {
		return "other"
	}
	return step
}

func (h *Handler) get(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	var a answer
	var err error
	switch step := q.Get("step"); {
	case step == "boot":
		a, err = h.menu(asked(r))
	case step == "choose":
		a, err = h.choose(q.Get("page"), asked(r))
	case step == "discovery":
		a, err = h.discovery(r)
	case step == "secret":
		a, err = h.secret(r)
	case step == "install" && q.Has("status"):
		a, err = h.status(r)
	case step == "install":
		a, err = h.install(r)
	default:
		err = fault.NotFoundf("there is no step %.40q; steps are boot, choose, discovery, install and secret", step)
	}
	h.say(w, r, a, err)
}

// posts are the steps that nodes post to, with the most that they may send, in bytes.
var posts = map[string]struct {
	most   int64
	answer func(h *Handler, r *http.Request, body []byte) (answer, error)
}{
	"report":   {boot.MaxReport, (*Handler).report},
	"hardware": {hardware.MaxReport, (*Handler).hardware},
}

func (h *Handler) post(w http.ResponseWriter, r *http.Request) {
	step := r.URL.Query().Get("step")
	to, ok := posts[step]
	if !ok {
		h.say(w, r, answer{}, fault.NotFoundf("there is no step %.40q to post to", step))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, to.most+1))
	if err != nil {
		h.say(w, r, answer{}, fault.Invalidf("the report was not read: %w", err))
		return
	}
	a, err := to.answer(h, r, body)
	h.say(w, r, a, err)
}

// say writes an answer, or an error as one sentence.
func (h *Handler) say(w http.ResponseWriter, r *http.Request, a answer, err error) {
	if err != nil {
		kind := fault.KindOf(err)
		if kind == fault.Internal {
			h.Log.Error("request failed", "query", r.URL.RawQuery, "from", r.RemoteAddr, "err", err)
		}
		a = answer{kind.Code(), fault.Public(err) + "\n"}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", fmt.Sprint(len(a.text)))
	if a.code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "10")
	}
	w.WriteHeader(a.code)
	_, _ = io.WriteString(w, a.text) // the client went away
}

// from returns the address that a request came from.
func from(r *http.Request) netip.Addr {
	ap, _ := netip.ParseAddrPort(r.RemoteAddr) // net/http writes it
	return ap.Addr().Unmap().WithZone("")
}

// asked returns the address of this head that a request went to.
func asked(r *http.Request) netip.Addr {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		return local.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// isOwn tells whether an address is one of a node's.
func isOwn(n *inventoryv1.Node, a netip.Addr) bool {
	for _, one := range n.GetAddresses() {
		if addr, err := netip.ParseAddr(one.Address); err == nil && addr == a && one.Interface != catalog.BMC {
			return true
		}
	}
	return false
}

// cluster returns the cluster, or says that there is none.
func cluster(v catalog.View) (*inventoryv1.Cluster, error) {
	c, err := v.Cluster()
	if err == nil && len(plan.SiteOf(c, netip.Addr{}).Heads) == 0 {
		err = fault.Unavailablef("there is no cluster yet: luna cluster init")
	}
	return c, err
}
