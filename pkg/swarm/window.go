package swarm

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync"

	"github.com/luna-hpc/luna/pkg/swarm/exchange"
)

// window is what of a payload is asked for while only a part of it may be there: nodes begin anywhere, so that they
// do not all want the same.
type window struct {
	most int64 // bytes of segments at a time; 0 is no limit

	mu    sync.Mutex
	rest  []int        // segments that were not asked for
	held  map[int]bool // those that were, and are not dropped
	there int64        // bytes of held
}

func newWindow(most int64, segments int) *window {
	return &window{most: most, rest: rand.Perm(segments), held: map[int]bool{}}
}

// more returns the segments that may be asked for now; one alone may be larger than the window.
func (w *window) more(l *layout) (segs []int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.rest) > 0 {
		seg := w.rest[0]
		size := l.segments[seg].size
		if w.most > 0 && w.there > 0 && w.there+size > w.most {
			break
		}
		w.rest, w.held[seg], w.there = w.rest[1:], true, w.there+size
		segs = append(segs, seg)
	}
	return segs
}

// drop takes a segment out; it tells whether it was in.
func (w *window) drop(seg int, l *layout) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.held[seg] {
		return false
	}
	delete(w.held, seg)
	w.there -= l.segments[seg].size
	return true
}

// wants tells whether a segment was asked for and is not dropped.
func (w *window) wants(seg int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.held[seg]
}

// want asks for what fits into the window.
func (d *Downloader) want(t *exchange.Torrent) {
	for _, seg := range d.window.more(d.store.layout) {
		t.Want(d.store.segments[seg].first, d.store.segments[seg].count, true)
	}
}

// missing returns the pieces that are asked for and not there.
func (d *Downloader) missing() (pieces []int) {
	for _, piece := range d.store.missing() {
		if d.window.wants(d.store.find(piece)) {
			pieces = append(pieces, piece)
		}
	}
	return pieces
}

// Drop deletes a segment that SegmentDone was called for, and has others come in its place. It is an error where all
// segments are kept: other nodes have been told of them.
func (d *Downloader) Drop(hex string) error {
	seg := d.store.number(hex)
	d.mu.Lock()
	t := d.torrent
	d.mu.Unlock()
	switch {
	case d.window.most == 0:
		return fmt.Errorf("segment %s is passed on", hex)
	case seg < 0 || t == nil || !d.store.isSealed(seg):
		return fmt.Errorf("segment %s is not there", hex)
	case !d.window.drop(seg, d.store.layout):
		return nil // it was dropped before
	}
	if err := os.Remove(d.store.path(seg)); err != nil {
		return fmt.Errorf("drop segment: %w", err)
	}
	d.want(t)
	return nil
}

// number returns which segment has a name, or -1.
func (l *layout) number(hex string) int {
	for i := range l.segments {
		if l.segments[i].hex == hex {
			return i
		}
	}
	return -1
}
