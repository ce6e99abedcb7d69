package web_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/time/rate"

	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/swarm"
	"github.com/luna-hpc/luna/services/torrent-seeder/internal/web"
)

// open is a web.Segments.
type open func(hex string) (*os.File, error)

func (o open) Open(hex string) (*os.File, error) { return o(hex) }

type noTorrents struct{ err error }

func (n noTorrents) Torrent(release.Digest) ([]byte, bool, error) { return nil, n.err != nil, n.err }

func handler(t *testing.T, o web.Options) (http.Handler, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	o.Metrics, o.Tracker = reg, http.NotFoundHandler()
	if o.Torrents == nil {
		o.Torrents = noTorrents{}
	}
	if o.Clients == 0 {
		o.Clients = 2
	}
	return web.New(o), reg
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func TestSegmentErrors(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		says   string
		retry  string
	}{
		{fs.ErrNotExist, 404, "No release that is kept has this segment", ""},
		{fmt.Errorf("x: %w", swarm.ErrUnchecked), 503, "not checked yet", "2"},
		{fmt.Errorf("x: %w", swarm.ErrDamaged), 500, "damaged on this head", ""},
		{errors.New("secret path"), 500, "cannot be read", ""},
	} {
		h, _ := handler(t, web.Options{Segments: func() web.Segments { return open(func(string) (*os.File, error) { return nil, c.err }) }})
		w := get(h, "/payload/00")
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) || w.Header().Get("Retry-After") != c.retry ||
			strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%v: %d %q, retry after %q", c.err, w.Code, w.Body, w.Header().Get("Retry-After"))
		}
	}
	h, _ := handler(t, web.Options{Segments: func() web.Segments { return nil }})
	if w := get(h, "/payload/00"); w.Code != 503 || !strings.Contains(w.Body.String(), "starting") {
		t.Errorf("before the seeder: %d %q", w.Code, w.Body)
	}
	h, _ = handler(t, web.Options{Torrents: noTorrents{errors.New("secret path")}})
	if w := get(h, "/torrents/"+strings.Repeat("0", 64)+".torrent"); w.Code != 500 || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("a torrent that cannot be read: %d %q", w.Code, w.Body)
	}
}

func TestTooManyClientsWait(t *testing.T) {
	inside, leave := make(chan struct{}), make(chan struct{})
	h, _ := handler(t, web.Options{Clients: 1, Segments: func() web.Segments {
		return open(func(string) (*os.File, error) { close(inside); <-leave; return nil, fs.ErrNotExist })
	}})
	first := make(chan int)
	go func() { first <- get(h, "/payload/00").Code }()
	<-inside
	if w := get(h, "/payload/00"); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("the second client: %d", w.Code)
	}
	close(leave)
	if got := <-first; got != 404 {
		t.Errorf("the first client: %d", got)
	}
}

func TestSegmentsAreCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "segment")
	if err := os.WriteFile(path, make([]byte, 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	h, reg := handler(t, web.Options{Segments: func() web.Segments { return open(func(string) (*os.File, error) { return os.Open(path) }) }})
	srv := httptest.NewServer(h)
	defer srv.Close()
	resp, err := http.Get(srv.URL + "/payload/00")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ContentLength != 5000 || resp.Header.Get("ETag") != `"00"` || !strings.Contains(resp.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("%d bytes, header %v", resp.ContentLength, resp.Header)
	}
	srv.Close() // waits for the handler
	want := "# HELP luna_torrent_seeder_http_bytes_total Bytes of segments sent over HTTP.\n" +
		"# TYPE luna_torrent_seeder_http_bytes_total counter\nluna_torrent_seeder_http_bytes_total 5000\n"
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

// With a limit the same bytes come, and none beyond it.
func TestUploadLimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "segment")
	data := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	segments := func() web.Segments { return open(func(string) (*os.File, error) { return os.Open(path) }) }
	h, _ := handler(t, web.Options{Segments: segments, Upload: rate.NewLimiter(rate.Inf, 64<<10)})
	if w := get(h, "/payload/00"); !bytes.Equal(w.Body.Bytes(), data) {
		t.Errorf("%d bytes came, not the segment's", w.Body.Len())
	}
	const burst = 256 << 10
	h, _ = handler(t, web.Options{Segments: segments, Upload: rate.NewLimiter(1, burst)})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w := httptest.NewRecorder()
	// The next bytes may go out after hours, which is later than the request's end: it ends at once.
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/payload/00", nil))
	if n := w.Body.Len(); n != burst {
		t.Errorf("%d bytes came, the limit lets %d through", n, burst)
	}
}
