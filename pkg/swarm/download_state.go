package swarm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/luna-hpc/luna/pkg/swarm/exchange"
)

// finishSegments names segments that are whole, until ctx ends.
func (d *Downloader) finishSegments(ctx context.Context, t *exchange.Torrent) {
	finished, wrong := 0, map[int]int{}
	for {
		select {
		case seg := <-d.full:
			if !d.finish(seg, t, wrong) {
				continue
			}
			if finished++; finished == len(d.store.segments) {
				close(d.done)
			}
		case <-ctx.Done():
			return
		}
	}
}

// finish checks one segment and reports it; a wrong one is fetched again, a few times.
func (d *Downloader) finish(seg int, t *exchange.Torrent, wrong map[int]int) bool {
	err := d.store.finish(seg)
	if err == nil {
		if d.cfg.SegmentDone != nil {
			d.cfg.SegmentDone(d.store.segments[seg].hex)
		}
		return true
	}
	d.note(err)
	var w *wrongSegment
	if wrong[seg]++; !errors.As(err, &w) || wrong[seg] >= maxWrong {
		d.fail(err)
		return false
	}
	s := d.store.segments[seg]
	d.store.discard(seg)
	for i := range s.count {
		t.Lose(s.first + i)
	}
	t.Want(s.first, s.count, true)
	return false
}

// fail ends Run with an error.
func (d *Downloader) fail(err error) {
	if errors.Is(err, errSealed) {
		return // a peer's late block for a segment that is complete
	}
	select {
	case d.fatal <- err:
	default:
	}
}

// note keeps an error for Stats and logs it.
func (d *Downloader) note(err error) {
	d.cfg.Log.Warn("download has trouble", "err", err)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lastErr = err.Error()
}

func (d *Downloader) setTorrent(t *exchange.Torrent) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.torrent = t
}

// Stats returns how far the download is.
func (d *Downloader) Stats() Stats {
	s := Stats{Total: d.store.size(), Completed: d.store.completed(),
		FromHead: d.fromHead.Load(), FromPeers: d.fromPeers.Load()}
	if n := d.progress.Load(); n != 0 {
		s.LastProgress = time.Unix(0, n)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s.LastError = d.lastErr
	if d.torrent != nil {
		s.Peers, s.Lacking, s.Sent = d.torrent.Peers(), d.torrent.Lacking(), d.torrent.Sent()
	}
	return s
}

// String tells how far the download is, for a console.
func (s Stats) String() string {
	return fmt.Sprintf("%d of %d bytes, %d from the head, %d from %d peers", s.Completed, s.Total, s.FromHead, s.FromPeers, s.Peers)
}
