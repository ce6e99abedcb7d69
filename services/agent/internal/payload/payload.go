// Package payload installs a release: segments are unpacked as they arrive, while others are still coming.
package payload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/swarm"
	"github.com/luna-hpc/luna/services/agent/internal/download"
	"github.com/luna-hpc/luna/services/agent/internal/report"
	"github.com/luna-hpc/luna/services/agent/internal/sysroot"
)

// The steps that an installation reports.
const (
	downloadStep = "install.download"
	unpackStep   = "install.unpack"
	mountStep    = "install.mount"
)

// Head is where manifest and torrent come from. *head.Head is one.
type Head interface {
	Manifest(context.Context, release.Digest) (*release.Manifest, []byte, error)
	Torrent(context.Context, release.Digest) (torrent []byte, pieces []string, err error)
	FileURL(release.Digest) string
	TorrentURL(release.Digest) string
}

// Unpacker makes the tree. *release.Unpacker is one.
type Unpacker interface {
	Segment(context.Context, release.Segment, io.Reader) error
	Finish() error
	Stats() (files, bytes int64)
	Refused() map[string]int
}

// Payload installs releases below Root.
type Payload struct {
	Head Head
	// Follow makes a payload come and tells of it, until all is there.
	Follow func(context.Context, download.Request, func(download.Event) error) error
	// Image is the image's name, for people.
	Image string
	// Dir is where the segments lie, Root where the tree goes.
	Dir, Root string
	// Allowed is the only release that may be installed, by its forms; empty allows any.
	Allowed []release.Digest
	// Unpacker returns one for a manifest.
	Unpacker func(root string, m *release.Manifest) Unpacker
	// Overlay mounts a compressed root.
	Overlay func(ctx context.Context, image, dir string) error
	// Measure returns what space there is, Memory what there is without a root, Held what segments take of it already.
	Measure func(dir string) (sysroot.Space, error)
	Memory  func() (sysroot.Space, error)
	Held    func(dir string) (int64, error)
	// Drop lets a segment go that was unpacked, where not all fit into memory.
	Drop   func(ctx context.Context, segment string) error
	Report *report.Reporter
	Log    *slog.Logger
	// Pause is the time between tries of what failed.
	Pause time.Duration
}

// work is the installation of one release.
type work struct {
	*Payload
	manifest *release.Manifest
	segments map[string]release.Segment
	request  download.Request
	// unpackers is how many segments are unpacked at a time.
	unpackers int
	tried     string
	unpacker  Unpacker
	began     time.Time
	last      swarm.Stats
	watch     watch
	unpack    unpacking
}

// Install installs the release that manifest names. It goes on trying while
// the head is away; it fails when the head refuses, when the release does not
// fit, and when the release is not what its digests say.
func (p *Payload) Install(ctx context.Context, manifest, torrent release.Digest) error {
	w := &work{Payload: p, began: time.Now()}
	w.watch = newWatch(w.began)
	w.tried = "GET " + p.Head.TorrentURL(torrent)
	p.Report.Started(ctx, downloadStep, w.tried)
	if err := w.prepare(ctx, manifest, torrent); err != nil {
		p.Report.Ended(ctx, downloadStep, time.Since(w.began), report.Result{Tried: w.tried}, err)
		return err
	}
	if w.manifest.Kind == release.Image {
		return w.mount(ctx)
	}
	return w.install(ctx)
}

func (w *work) prepare(ctx context.Context, manifest, torrent release.Digest) error {
	if len(w.Allowed) > 0 && !slices.Contains(w.Allowed, manifest) {
		return fmt.Errorf("the install script wants release %s, the kernel command line allows only %s", manifest, w.Allowed[0])
	}
	err := w.persist(ctx, func() (err error) {
		w.manifest, _, err = w.Head.Manifest(ctx, manifest)
		return err
	})
	if err != nil {
		return err
	}
	err = w.persist(ctx, func() (err error) {
		w.request.Torrent, w.request.Pieces, err = w.Head.Torrent(ctx, torrent)
		return err
	})
	if err != nil {
		return err
	}
	if err := w.match(); err != nil {
		return err
	}
	if w.manifest.Kind == release.Image {
		w.request.Joined = imageFile
	} else {
		w.unpacker = w.Unpacker(w.Root, w.manifest)
	}
	return w.fits()
}

// match makes sure that torrent and manifest are of one release.
func (w *work) match() error {
	_, names, err := swarm.Segments(w.request.Torrent)
	if err != nil {
		return fmt.Errorf("%s: %w", w.tried, err)
	}
	w.segments = make(map[string]release.Segment, len(names))
	for _, s := range w.manifest.Segments {
		w.segments[s.Digest.Hex()] = s
	}
	slices.Sort(names)
	if !slices.Equal(names, slices.Sorted(maps.Keys(w.segments))) {
		return fmt.Errorf("%s: torrent and manifest are of different releases", w.tried)
	}
	return nil
}

// install has segments come and unpacks each in its own goroutine, as many at
// a time as there are processors and memory for.
func (w *work) install(ctx context.Context) error {
	group, inner := errgroup.WithContext(ctx)
	slots := make(chan struct{}, w.unpackers)
	downloaded := false
	group.Go(func() error {
		err := w.Follow(inner, w.request, func(e download.Event) error {
			if e.Stats != nil {
				w.progress(inner, *e.Stats)
				return nil
			}
			segment, ok := w.segments[e.Segment]
			if !ok {
				return fmt.Errorf("segment %s is not in the manifest", e.Segment)
			}
			w.unpack.start(inner, w)
			group.Go(func() error { return w.segment(inner, segment, slots) })
			return nil
		})
		if err == nil {
			downloaded = true
			w.downloaded(ctx, nil)
		}
		return err
	})
	err := group.Wait()
	cause := w.unpack.failure()
	if cause != nil {
		err = cause
	} else if err == nil {
		err = w.unpacker.Finish()
	}
	w.unpack.end(ctx, w, err)
	if !downloaded && cause != nil {
		w.downloaded(ctx, errors.New("stopped, since unpacking failed"))
	} else if !downloaded {
		w.downloaded(ctx, err)
	}
	return err
}

func (w *work) segment(ctx context.Context, s release.Segment, slots chan struct{}) error {
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	f, err := os.Open(filepath.Join(w.Dir, s.Digest.Hex()))
	if err != nil {
		return fmt.Errorf("unpack segment %s: %w", s.Digest, err)
	}
	err = w.unpacker.Segment(ctx, s, f)
	_ = f.Close() // it was only read
	if err == nil && w.request.Window > 0 {
		err = w.Drop(ctx, s.Digest.Hex())
	}
	if err != nil {
		w.unpack.fail(err)
	}
	return err
}

// downloaded reports how the download ended.
func (w *work) downloaded(ctx context.Context, err error) {
	values := map[string]string{
		"bytes_total":      strconv.FormatInt(w.last.Total, 10),
		"bytes_from_head":  strconv.FormatInt(w.last.FromHead, 10),
		"bytes_from_peers": strconv.FormatInt(w.last.FromPeers, 10),
	}
	if w.request.Window > 0 {
		values["bytes_at_once"] = strconv.FormatInt(w.request.Window, 10)
	}
	w.Report.Ended(ctx, downloadStep, time.Since(w.began), report.Result{Tried: w.tried, Values: values}, err)
}
