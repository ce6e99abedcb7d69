// Package web answers nodes over HTTP: torrent files, segments, announces.
package web

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/swarm"
)

const (
	// slowest is the bytes a second that a client must take, besides a minute.
	slowest = 16 << 10
	// later is what a client that must wait is told, in seconds.
	later = "2"
)

// Torrents are what is served.
type Torrents interface {
	// Torrent returns a torrent file by the digest of what is stored of it.
	Torrent(d release.Digest) (file []byte, ok bool, err error)
}

// Segments opens segments; swarm.Seeder is one.
type Segments interface {
	Open(hex string) (*os.File, error)
}

// Options says what a handler serves.
type Options struct {
	Torrents Torrents
	// Segments returns nil while there are none.
	Segments func() Segments
	Tracker  http.Handler
	// Clients is how many segments are sent at a time.
	Clients int
	// Upload is how many bytes of segments are sent a second; nil is no limit.
	Upload  *rate.Limiter
	Metrics prometheus.Registerer
}

type handler struct {
	Options
	slots chan struct{}
	sent  prometheus.Counter
}

// New returns the handler of /torrents/, /payload/, /announce and /scrape.
func New(o Options) http.Handler {
	h := &handler{Options: o, slots: make(chan struct{}, o.Clients), sent: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "luna_torrent_seeder_http_bytes_total", Help: "Bytes of segments sent over HTTP."})}
	o.Metrics.MustRegister(h.sent)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /torrents/{file}", h.torrent)
	mux.HandleFunc("GET /payload/{hex}", h.segment)
	mux.Handle("GET /announce", o.Tracker)
	mux.Handle("GET /scrape", o.Tracker)
	return mux
}

func (h *handler) torrent(w http.ResponseWriter, r *http.Request) {
	hex, isTorrent := strings.CutSuffix(r.PathValue("file"), ".torrent")
	d, err := release.ParseDigest("sha256:" + hex)
	if !isTorrent || err != nil {
		http.Error(w, "A torrent is asked for as /torrents/<64 hex digits>.torrent.", http.StatusNotFound)
		return
	}
	file, ok, err := h.Torrents.Torrent(d)
	switch {
	case err != nil:
		http.Error(w, "The torrent cannot be read on this head.", http.StatusInternalServerError)
	case !ok:
		http.Error(w, "No release that is kept has this torrent.", http.StatusNotFound)
	default:
		w.Header().Set("Content-Type", "application/x-bittorrent")
		w.Header().Set("Content-Length", strconv.Itoa(len(file)))
		_, _ = w.Write(file) // the client went away
	}
}

func (h *handler) segment(w http.ResponseWriter, r *http.Request) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		wait(w, "Too many clients take segments just now.")
		return
	}
	segments := h.Segments()
	if segments == nil {
		wait(w, "The seeder is starting.")
		return
	}
	hex := r.PathValue("hex")
	f, err := segments.Open(hex)
	if err != nil {
		refuse(w, err)
		return
	}
	defer f.Close()
	h.send(w, r, f, hex)
}

func (h *handler) send(w http.ResponseWriter, r *http.Request, f *os.File, hex string) {
	st, err := f.Stat()
	if err != nil {
		http.Error(w, "The segment cannot be read on this head.", http.StatusInternalServerError)
		return
	}
	limit := time.Minute + time.Duration(st.Size()/slowest)*time.Second
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		http.Error(w, "The connection cannot be used.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("ETag", `"`+hex+`"`)
	http.ServeContent(&counted{w, r.Context(), h.Upload, h.sent}, r, "", time.Time{}, f)
}

// refuse says why a segment cannot be had.
func refuse(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		http.Error(w, "No release that is kept has this segment, or it is not on this head.", http.StatusNotFound)
	case errors.Is(err, swarm.ErrUnchecked):
		wait(w, "The segment was not checked yet.")
	case errors.Is(err, swarm.ErrDamaged):
		http.Error(w, "The segment is damaged on this head.", http.StatusInternalServerError)
	default:
		http.Error(w, "The segment cannot be read on this head.", http.StatusInternalServerError)
	}
}

func wait(w http.ResponseWriter, why string) {
	w.Header().Set("Retry-After", later)
	http.Error(w, why, http.StatusServiceUnavailable)
}
