package payload

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/swarm"
	"github.com/luna-hpc/luna/pkg/testenv"
	bootscript "github.com/luna-hpc/luna/proto/bootscript/v1"
	"github.com/luna-hpc/luna/services/agent/internal/download"
	"github.com/luna-hpc/luna/services/agent/internal/head"
	"github.com/luna-hpc/luna/services/agent/internal/report"
	"github.com/luna-hpc/luna/services/agent/internal/sysroot"
)

// office is a head with one release, and the ear for reports.
type office struct {
	manifest      *release.Manifest
	torrent       []byte
	digest        release.Digest
	fails         []error // what the next requests for the manifest give
	mu            sync.Mutex
	reports       []string
	last, failure *bootscript.Report
}

func (o *office) FileURL(d release.Digest) string    { return "http://head/boot/" + d.String() }
func (o *office) TorrentURL(d release.Digest) string { return "http://head/torrents/" + d.Hex()[:4] }

func (o *office) Manifest(_ context.Context, d release.Digest) (*release.Manifest, []byte, error) {
	if len(o.fails) > 0 {
		err := o.fails[0]
		o.fails = o.fails[1:]
		return nil, nil, err
	}
	data, err := o.manifest.Encode()
	return o.manifest, data, err
}

func (o *office) Torrent(context.Context, release.Digest) ([]byte, []string, error) {
	return o.torrent, []string{"http://head:7051/payload/"}, nil
}

func (o *office) Report(_ context.Context, r *bootscript.Report) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reports = append(o.reports, strings.TrimPrefix(r.GetName(), "install.")+" "+strings.TrimPrefix(r.GetState().String(), "STATE_"))
	o.last = r
	if r.GetState() == bootscript.State_STATE_FAILED {
		o.failure = r
	}
	return nil
}

func (o *office) Hardware(context.Context, *bootscript.Hardware) error { return nil }

func (o *office) heard() string { return strings.Join(o.reports, ", ") }

// packed is a release that all tests share.
var packed = sync.OnceValues(func() (*release.Manifest, string) {
	base, err := os.MkdirTemp("", "luna-payload-")
	if err != nil {
		panic(err)
	}
	tree, dir := base+"/tree", base+"/payload"
	data := make([]byte, 10<<20)
	for i := range 8 {
		// Text that compresses well, and is long enough for two segments.
		for at := range data {
			data[at] = byte('a' + at%(7+i))
		}
		name := fmt.Sprintf("%s/srv/%d", tree, i)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, data, 0o640), os.MkdirAll(dir, 0o755)); err != nil {
			panic(err)
		}
	}
	for i := range 2 {
		// So long that it has a segment of its own; nearly all of it is a hole.
		name := fmt.Sprintf("%s/opt/long%d", tree, i)
		err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte{byte(i + 1)}, 0o644), os.Truncate(name, 40<<20))
		if err != nil {
			panic(err)
		}
	}
	m, err := release.Pack(context.Background(), release.Options{Tree: tree, PayloadDir: dir, KernelVersion: "6.1", Level: 1})
	if err != nil {
		panic(err)
	}
	return m, base
})

func TestMain(m *testing.M) {
	code := m.Run()
	if os.Getuid() == 0 {
		_, base := packed()
		_ = os.RemoveAll(base)
	}
	os.Exit(code)
}

// pack returns a head with a release of some segments, and the folder that has them.
func pack(t *testing.T) (*office, string) {
	t.Helper()
	testenv.Root(t)
	shared, base := packed()
	manifest := *shared
	manifest.Segments = slices.Clone(shared.Segments)
	torrent, _, err := release.Torrent(&manifest, base+"/payload")
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Segments) < 2 {
		t.Fatalf("the tree is one segment: %v", manifest.Segments)
	}
	data, err := manifest.Encode()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(base+"/payload")); err != nil {
		t.Fatal(err)
	}
	return &office{manifest: &manifest, torrent: torrent, digest: release.DigestOf(data)}, dir
}

// arrive is a swarm in which the segments arrive in a random order.
func (o *office) arrive(ctx context.Context, r download.Request, send func(download.Event) error) error {
	_, names, err := swarm.Segments(r.Torrent)
	if err != nil {
		return err
	}
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	stats := swarm.Stats{Total: o.manifest.Size()}
	for _, name := range names {
		if err := send(download.Event{Segment: name}); err != nil {
			return err
		}
		stats.Completed += stats.Total / int64(len(names))
		stats.FromHead, stats.FromPeers = stats.Completed/4, stats.Completed*3/4
		if err := send(download.Event{Stats: &stats}); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func payload(t *testing.T, o *office, dir string) *Payload {
	return &Payload{
		Head: o, Follow: o.arrive, Dir: dir, Root: t.TempDir(), Pause: time.Millisecond, Log: slog.New(slog.DiscardHandler),
		Unpacker: func(root string, m *release.Manifest) Unpacker { return release.NewUnpacker(root, m) },
		Measure:  func(string) (sysroot.Space, error) { return sysroot.Space{Free: 1 << 40, Memory: 1 << 40}, nil },
		Held:     download.Held,
		Report:   &report.Reporter{Spool: report.Spool{Dir: t.TempDir()}, Head: o, Log: slog.New(slog.DiscardHandler), Now: time.Now},
	}
}

func TestInstall(t *testing.T) {
	o, dir := pack(t)
	p := payload(t, o, dir)
	p.Allowed = []release.Digest{release.DigestOf([]byte("the other form")), o.digest}
	if err := p.Install(t.Context(), o.digest, release.DigestOf(o.torrent)); err != nil {
		t.Fatal(err)
	}
	if want := "download STARTED, unpack STARTED, download OK, unpack OK"; o.heard() != want {
		t.Errorf("heard %s", o.heard())
	}
	if v := o.last.GetValues(); v["files"] == "" || v["bytes"] != fmt.Sprint(o.manifest.Unpacked) {
		t.Errorf("values %v", v)
	}
	names, _ := filepath.Glob(p.Root + "/srv/*")
	if len(names) != 8 {
		t.Errorf("made %q", names)
	}
	if info, err := os.Stat(p.Root + "/srv/3"); err != nil || info.Size() != 10<<20 || info.Mode() != 0o640 {
		t.Errorf("made %v, %v", info, err)
	}
}

func TestOnlyTheAllowedRelease(t *testing.T) {
	o, dir := pack(t)
	p := payload(t, o, dir)
	p.Allowed = []release.Digest{release.DigestOf([]byte("other"))}
	if err := p.Install(t.Context(), o.digest, o.digest); err == nil || !strings.Contains(err.Error(), "the kernel command line allows only "+p.Allowed[0].String()) {
		t.Errorf("got %v", err)
	}
	if want := "download STARTED, download FAILED"; o.heard() != want {
		t.Errorf("heard %s", o.heard())
	}
}

func TestNoRoom(t *testing.T) {
	o, dir := pack(t)
	p := payload(t, o, dir)
	p.Measure = func(string) (sysroot.Space, error) {
		return sysroot.Space{Free: 1 << 40, Memory: o.manifest.Unpacked + int64(o.manifest.Files())<<10, InMemory: true}, nil
	}
	// What is there already needs no more memory.
	if err := p.Install(t.Context(), o.digest, o.digest); err != nil {
		t.Errorf("with all segments there: %v", err)
	}
	p.Dir = t.TempDir()
	if err := p.Install(t.Context(), o.digest, o.digest); err == nil || !strings.Contains(err.Error(), "of memory") {
		t.Errorf("got %v", err)
	}
}

func TestDamagedSegment(t *testing.T) {
	o, dir := pack(t)
	path := filepath.Join(dir, o.manifest.Segments[1].Digest.Hex())
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	p := payload(t, o, dir)
	// The last segment never comes, so that the failure is what ends it.
	p.Follow = func(ctx context.Context, r download.Request, send func(download.Event) error) error {
		if err := send(download.Event{Segment: o.manifest.Segments[1].Digest.Hex()}); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}
	if err := p.Install(t.Context(), o.digest, o.digest); err == nil || !strings.Contains(err.Error(), "stored file is sha256:") {
		t.Errorf("got %v", err)
	}
	if want := "download STARTED, unpack STARTED, unpack FAILED, download FAILED"; o.heard() != want {
		t.Errorf("heard %s", o.heard())
	}
}

func TestTorrentOfAnotherRelease(t *testing.T) {
	o, dir := pack(t)
	o.manifest.Segments = o.manifest.Segments[1:]
	if err := payload(t, o, dir).Install(t.Context(), o.digest, o.digest); err == nil || !strings.Contains(err.Error(), "are of different releases") {
		t.Errorf("got %v", err)
	}
}

func TestHeadAwayAndBack(t *testing.T) {
	o, dir := pack(t)
	o.fails = []error{errors.New("connection refused"), errors.New("the head says 503: wait")}
	if err := payload(t, o, dir).Install(t.Context(), o.digest, o.digest); err != nil {
		t.Error(err)
	}
}

func TestHeadRefuses(t *testing.T) {
	o, dir := pack(t)
	o.fails = []error{fmt.Errorf("manifest: %w", &head.Refused{Tried: "GET x", Status: 404, Text: "there is no such release"})}
	if err := payload(t, o, dir).Install(t.Context(), o.digest, o.digest); !head.IsRefused(err) {
		t.Errorf("got %v", err)
	}
	if want := "download STARTED, download FAILED"; o.heard() != want || !strings.Contains(o.last.GetError(), "there is no such release") {
		t.Errorf("heard %s, %v", o.heard(), o.last)
	}
}

func TestExchangeEnds(t *testing.T) {
	o, dir := pack(t)
	p := payload(t, o, dir)
	p.Follow = func(context.Context, download.Request, func(download.Event) error) error {
		return errors.New("no room")
	}
	if err := p.Install(t.Context(), o.digest, o.digest); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("got %v", err)
	}
	if want := "download STARTED, download FAILED"; o.heard() != want {
		t.Errorf("heard %s", o.heard())
	}
}

// TestStallIsReportedOnce has the watch's time stand still for the consoles' sake and lets the swarm fall silent.
func TestStallIsReportedOnce(t *testing.T) {
	o, dir := pack(t)
	p := payload(t, o, dir)
	w := &work{Payload: p, manifest: o.manifest, unpacker: release.NewUnpacker(p.Root, o.manifest), tried: "GET torrent"}
	w.request.Pieces = []string{"http://head:7051/payload/"}
	w.watch = newWatch(time.Now().Add(-time.Minute))
	s := swarm.Stats{Total: 100, LastError: "announce: connection refused", Peers: 2}
	for range 3 {
		w.watch.said = time.Time{}
		w.progress(t.Context(), s)
	}
	if want := "download FAILED"; o.heard() != want {
		t.Fatalf("heard %s", o.heard())
	}
	if e := o.failure; !strings.Contains(e.GetError(), "2 peers are connected: announce: connection refused; still trying") ||
		e.GetTried() != "GET torrent, pieces at http://head:7051/payload/" {
		t.Errorf("reported %v", e)
	}
	s.Completed = 50
	w.progress(t.Context(), s)
	if want := "download FAILED, download STARTED"; o.heard() != want {
		t.Errorf("heard %s", o.heard())
	}
}

func TestWatch(t *testing.T) {
	begin := time.Unix(1000, 0)
	w := newWatch(begin)
	var got []string
	for _, look := range []struct{ at, completed int64 }{
		{1, 10}, {5, 50}, {6, 60}, {10, 90}, {20, 90}, {25, 90}, {40, 90}, {55, 90}, {56, 95}, {60, 95}, {61, 100}, {90, 100},
	} {
		say := w.see(begin.Add(time.Duration(look.at)*time.Second), swarm.Stats{Total: 100, Completed: look.completed})
		switch {
		case say.Report:
			got = append(got, fmt.Sprintf("%d report", look.at))
		case say.Stalled:
			got = append(got, fmt.Sprintf("%d stalled for %s", look.at, say.For))
		case say.Back:
			got = append(got, fmt.Sprintf("%d back", look.at))
		case say.Progress:
			got = append(got, fmt.Sprintf("%d %.0f/s", look.at, say.Rate))
		}
	}
	want := []string{"5 10/s", "10 8/s", "20 0/s", "40 report", "55 stalled for 45s", "56 back", "60 1/s"}
	if !slices.Equal(got, want) {
		t.Errorf("said %q, want %q", got, want)
	}
}

// TestCompressedRoot: the segments of an image come into one file, which is mounted once all are there; nothing is
// unpacked. Without the memory for it nothing is fetched.
func TestCompressedRoot(t *testing.T) {
	o, dir := pack(t)
	o.manifest.Kind = release.Image
	p := payload(t, o, dir)
	p.Image, p.Unpacker, p.Measure = "compute", nil, nil
	p.Held = func(string) (int64, error) { return 0, nil }
	p.Memory = func() (sysroot.Space, error) { return sysroot.Space{Memory: 1 << 40, Total: 1 << 40}, nil }
	asked, mounted := "", ""
	p.Follow = func(ctx context.Context, r download.Request, send func(download.Event) error) error {
		asked = r.Joined
		return o.arrive(ctx, r, send)
	}
	p.Overlay = func(_ context.Context, image, root string) error { mounted = image + " on " + root; return nil }
	if err := p.Install(t.Context(), o.digest, o.digest); err != nil {
		t.Fatal(err)
	}
	if want := "download STARTED, download OK, mount STARTED, mount OK"; o.heard() != want {
		t.Errorf("heard %s", o.heard())
	}
	if asked == "" || mounted != filepath.Join(dir, asked)+" on "+p.Root {
		t.Errorf("asked for one file %q and mounted %s", asked, mounted)
	}

	p.Memory = func() (sysroot.Space, error) { return sysroot.Space{Memory: o.manifest.Size(), Total: 4 << 30}, nil }
	p.Follow = func(context.Context, download.Request, func(download.Event) error) error {
		t.Error("something was fetched")
		return nil
	}
	err := p.Install(t.Context(), o.digest, o.digest)
	if err == nil || !strings.HasPrefix(err.Error(), "image compute needs ") || !strings.Contains(err.Error(), "this machine has 4.0 GiB of which") {
		t.Errorf("got %v", err)
	}
}

// TestLittleMemory: where the whole payload does not fit beside the files, segments are dropped when they are unpacked;
// where not even two fit, nothing is fetched.
func TestLittleMemory(t *testing.T) {
	o, dir := pack(t)
	m := o.manifest
	atOnce := twoLargest(m)
	if len(m.Segments) < 3 || atOnce >= m.Size() {
		t.Fatalf("the two largest of %d segments are %d of %d bytes", len(m.Segments), atOnce, m.Size())
	}
	p := payload(t, o, dir)
	p.Image = "compute"
	space := sysroot.Space{Free: 1 << 40, Memory: m.Unpacked + int64(m.Files())<<10 + atOnce + sysroot.Arrival, InMemory: true}
	p.Measure = func(string) (sysroot.Space, error) { return space, nil }
	p.Held = func(string) (int64, error) { return 0, nil }
	var mu sync.Mutex
	var dropped []string
	p.Drop = func(_ context.Context, segment string) error {
		mu.Lock()
		defer mu.Unlock()
		dropped = append(dropped, segment)
		return os.Remove(filepath.Join(dir, segment))
	}
	asked := int64(-1)
	p.Follow = func(ctx context.Context, r download.Request, send func(download.Event) error) error {
		asked = r.Window
		return o.arrive(ctx, r, send)
	}
	if err := p.Install(t.Context(), o.digest, o.digest); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 || len(dropped) != len(m.Segments) || asked != atOnce {
		t.Errorf("dropped %d of %d segments with a window of %d, left %v, %v", len(dropped), len(m.Segments), asked, left, err)
	}

	space.Memory--
	asked = -1
	if err := p.Install(t.Context(), o.digest, o.digest); err == nil || !strings.HasPrefix(err.Error(), "image compute needs ") || asked != -1 {
		t.Errorf("with a byte less: %v, and a window of %d was asked for", err, asked)
	}
	if _, err := Fit(space, p.Root, "compute", m, 1); err != nil {
		t.Errorf("with a byte that is held and can be dropped: %v", err)
	}
	space.Memory = m.Unpacked + int64(m.Files())<<10 + m.Size() + sysroot.Arrival
	if window, err := Fit(space, p.Root, "compute", m, 0); window != 0 || err != nil {
		t.Errorf("with room for all: a window of %d, %v", window, err)
	}
}

func TestUnpackers(t *testing.T) {
	for _, c := range []struct {
		beyond     int64
		processors int
		want       int
	}{{-1 << 30, 64, 1}, {0, 64, 1}, {40 << 20, 64, 3}, {40 << 20, 2, 2}, {1 << 40, 64, mostUnpackers}} {
		if got := unpackers(c.beyond, c.processors); got != c.want {
			t.Errorf("with %d bytes beyond and %d processors: %d at a time, want %d", c.beyond, c.processors, got, c.want)
		}
	}
}

// TestSlowUnpackingIsNoStall: while a full window is unpacked nothing arrives, and that is no trouble.
func TestSlowUnpackingIsNoStall(t *testing.T) {
	begin := time.Unix(1000, 0)
	w := newWatch(begin)
	s := swarm.Stats{Total: 100, Completed: 10}
	for i := range 20 {
		now := begin.Add(time.Duration(i) * 10 * time.Second)
		w.used(now, int64(i+1))
		if say := w.see(now, s); say.Stalled {
			t.Fatalf("stalled after %s", say.For)
		}
	}
	if say := w.see(begin.Add(time.Hour), s); !say.Report {
		t.Error("nothing was said when unpacking had ended too")
	}
}
