package download

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/swarm"
)

// torrent returns the torrent of a release with some segments, and their names.
func torrent(t *testing.T, text string) (data []byte, names []string) {
	t.Helper()
	tree, payload := t.TempDir(), t.TempDir()
	if err := os.WriteFile(tree+"/file", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := release.Pack(t.Context(), release.Options{Tree: tree, PayloadDir: payload, KernelVersion: "6.1"})
	if err != nil {
		t.Fatal(err)
	}
	data, _, err = release.Torrent(m, payload)
	if err != nil {
		t.Fatal(err)
	}
	_, names, err = swarm.Segments(data)
	if err != nil {
		t.Fatal(err)
	}
	return data, names
}

// exchange is a swarm that does what a test tells it.
type exchange struct {
	swarm.DownloadConfig
	fail chan error
	// stats are told one after the other, the last one again and again.
	mu      sync.Mutex
	stats   []swarm.Stats
	dropped []string
}

func (e *exchange) Stats() swarm.Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.stats) == 0 {
		return swarm.Stats{Total: 100}
	}
	s := e.stats[0]
	if len(e.stats) > 1 {
		e.stats = e.stats[1:]
	}
	s.Total = 100
	return s
}

func (e *exchange) Drop(segment string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dropped = append(e.dropped, segment)
	return nil
}

func (e *exchange) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-e.fail:
		return err
	}
}

// desk keeps what a Keeper did.
type desk struct {
	*Keeper
	mu    sync.Mutex
	did   []string
	opens chan *exchange
}

func keeper(t *testing.T) *desk {
	d := &desk{opens: make(chan *exchange, 10)}
	say := func(format string, args ...any) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.did = append(d.did, fmt.Sprintf(format, args...))
	}
	d.Keeper = &Keeper{
		Dir: filepath.Join(t.TempDir(), "payload"), Tick: time.Millisecond, Log: slog.New(slog.DiscardHandler),
		Open: func(c swarm.DownloadConfig) (Swarm, error) {
			e := &exchange{DownloadConfig: c, fail: make(chan error, 1)}
			d.opens <- e
			return e, nil
		},
		Place: func(_ string, size int64) error { say("place %d", size); return nil },
		Clear: func(string) error { say("clear"); return nil },
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// follow follows a payload to its end and returns the segments that it was told of.
func (d *desk) follow(ctx context.Context, r Request) ([]string, error) {
	var got []string
	err := d.Follow(ctx, r, func(e Event) error {
		if e.Segment != "" {
			got = append(got, e.Segment)
		} else if e.Stats == nil || e.Stats.Total != 100 {
			return fmt.Errorf("event %+v", e)
		}
		return nil
	})
	return got, err
}

func TestFollow(t *testing.T) {
	data, names := torrent(t, "one")
	d := keeper(t)
	go func() {
		e := <-d.opens
		for _, name := range names {
			e.SegmentDone(name)
		}
	}()
	r := Request{Torrent: data, Pieces: []string{"http://10.0.0.1:7051/payload/"}}
	for range 2 { // The second finds all that is there.
		if got, err := d.follow(t.Context(), r); err != nil || !slices.Equal(got, names) {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	if want := []string{"place 100"}; !slices.Equal(d.did, want) {
		t.Errorf("did %q", d.did)
	}
	if err := d.Close(); err != nil || !slices.Equal(d.did, []string{"place 100", "clear"}) {
		t.Errorf("did %q, %v", d.did, err)
	}
}

func TestHeadsAddress(t *testing.T) {
	data, names := torrent(t, "one")
	d := keeper(t)
	go func() {
		e := <-d.opens
		d.opens <- e
		e.SegmentDone(names[0])
	}()
	if _, err := d.follow(t.Context(), Request{Torrent: data, Pieces: []string{"http://10.0.0.1:7051/payload/"}}); err != nil {
		t.Fatal(err)
	}
	e := <-d.opens
	if len(e.HeadAddrs) != 1 || e.HeadAddrs[0].String() != "10.0.0.1" || !slices.Equal(e.HTTPBases, []string{"http://10.0.0.1:7051/payload/"}) || e.Dir != d.Dir {
		t.Errorf("opened %+v", e.DownloadConfig)
	}
	if heads([]string{"http://head.cluster/", ":"}) != nil {
		t.Error("a name was taken for an address")
	}
}

func TestAnotherRelease(t *testing.T) {
	first, names := torrent(t, "one")
	second, others := torrent(t, "two")
	d := keeper(t)
	go func() { (<-d.opens).SegmentDone(names[0]); (<-d.opens).SegmentDone(others[0]) }()
	for _, data := range [][]byte{first, second} {
		if _, err := d.follow(t.Context(), Request{Torrent: data}); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"place 100", "clear", "place 100"}; !slices.Equal(d.did, want) {
		t.Errorf("did %q", d.did)
	}
}

// TestAnotherHead keeps the segments when the same release comes from elsewhere.
func TestAnotherHead(t *testing.T) {
	data, names := torrent(t, "one")
	d := keeper(t)
	go func() {
		for range 2 {
			(<-d.opens).SegmentDone(names[0])
		}
	}()
	for _, pieces := range []string{"http://10.0.0.1/", "http://10.0.0.2/"} {
		if _, err := d.follow(t.Context(), Request{Torrent: data, Pieces: []string{pieces}}); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"place 100", "place 100"}; !slices.Equal(d.did, want) {
		t.Errorf("did %q", d.did)
	}
}

func TestExchangeFailsAndIsStartedAgain(t *testing.T) {
	data, names := torrent(t, "one")
	d := keeper(t)
	go func() { (<-d.opens).fail <- errors.New("no room") }()
	if _, err := d.follow(t.Context(), Request{Torrent: data}); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Fatalf("got %v", err)
	}
	go func() { (<-d.opens).SegmentDone(names[0]) }()
	if _, err := d.follow(t.Context(), Request{Torrent: data}); err != nil {
		t.Error(err)
	}
}

// TestExchangeOutlivesItsFollower goes on seeding when the command that asked is gone.
func TestExchangeOutlivesItsFollower(t *testing.T) {
	data, names := torrent(t, "one")
	d := keeper(t)
	ctx, cancel := context.WithCancel(t.Context())
	opened := make(chan *exchange, 1)
	go func() { e := <-d.opens; cancel(); opened <- e }()
	if _, err := d.follow(ctx, Request{Torrent: data}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	(<-opened).SegmentDone(names[0])
	if got, err := d.follow(t.Context(), Request{Torrent: data}); err != nil || len(got) != 1 {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestNoTorrent(t *testing.T) {
	if _, err := keeper(t).follow(t.Context(), Request{Torrent: []byte("<html>")}); err == nil || !strings.Contains(err.Error(), "read the torrent") {
		t.Errorf("got %v", err)
	}
}

func TestHeld(t *testing.T) {
	dir := t.TempDir()
	if n, err := Held(dir + "/none"); n != 0 || err != nil {
		t.Errorf("held %d, %v", n, err)
	}
	if err := os.WriteFile(dir+"/a", make([]byte, 100000), fs.ModePerm); err != nil {
		t.Fatal(err)
	}
	if n, err := Held(dir); n < 100000 || err != nil {
		t.Errorf("held %d, %v", n, err)
	}
}

// TestWindow: what is dropped comes again for the next try, and nothing is passed on in the end.
func TestWindow(t *testing.T) {
	data, names := torrent(t, "one")
	d := keeper(t)
	if err := d.Drop(names[0]); err == nil {
		t.Error("a segment was dropped before there is any")
	}
	opened := make(chan *exchange, 3)
	go func() {
		for range 3 {
			e := <-d.opens
			opened <- e
			e.SegmentDone(names[0])
		}
	}()
	for _, window := range []int64{500, 500, 0} {
		if _, err := d.follow(t.Context(), Request{Torrent: data, Window: window}); err != nil {
			t.Fatal(err)
		}
		e := <-opened
		if err := d.Drop(names[0]); err != nil || !slices.Equal(e.dropped, names[:1]) || e.Window != window {
			t.Errorf("a window of %d: dropped %q, %v; want a window of %d", e.Window, e.dropped, err, window)
		}
	}
	// What is there before the first, and between them, takes memory.
	if want := []string{"clear", "place 100", "clear", "place 100", "place 100"}; !slices.Equal(d.did, want) {
		t.Errorf("did %q", d.did)
	}
}
