package swarm

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/luna-hpc/luna/pkg/swarm/exchange"
)

// seeded is one torrent of a seeder.
type seeded struct {
	store   *store
	torrent *exchange.Torrent
	wanted  Wanted // guarded by the seeder's mu
	fetches bool
	log     *slog.Logger
	full    chan int // segments that were fetched whole
	cancel  context.CancelFunc
	stalled atomic.Bool // a write failed; fetching rests until the next check

	// Used by the seeder's check alone: what each segment was when it was last looked at, and
	// whether what an earlier life had fetched of it was looked for.
	seen    []fileID
	resumed []bool
}

func newSeeded(dir string, l *layout, w Wanted, log *slog.Logger) *seeded {
	t := &seeded{wanted: w, fetches: w.Fetch, log: log.With("torrent", l.hash.HexString()),
		full: make(chan int, len(l.segments)), seen: make([]fileID, len(l.segments)),
		resumed: make([]bool, len(l.segments))}
	t.store = newStore(dir, l, t.queue)
	return t
}

// queue hands a segment to finishSegments; one that finds no room comes again at the next check.
func (t *seeded) queue(seg int) {
	select {
	case t.full <- seg:
	default:
	}
}

// stop ends what works for the torrent besides the exchange.
func (t *seeded) stop() {
	if t.cancel != nil {
		t.cancel()
	}
}

// drop takes the torrent out of the exchange.
func (t *seeded) drop() {
	t.stop()
	t.torrent.Drop()
	t.store.close()
}

// tell lets the exchange know whether a piece is there.
func (t *seeded) tell(piece int) {
	if t.store.Has(piece) {
		t.torrent.Have(piece)
	} else {
		t.torrent.Lose(piece)
	}
}

// finishSegments names the segments that were fetched whole, until ctx ends.
func (t *seeded) finishSegments(ctx context.Context) {
	for {
		select {
		case seg := <-t.full:
			t.finish(seg)
		case <-ctx.Done():
			return
		}
	}
}

func (t *seeded) finish(seg int) {
	err := t.store.finish(seg)
	var wrong *wrongSegment
	switch {
	case err == nil:
		t.log.Info("segment fetched", "segment", t.store.segments[seg].hex)
	case errors.As(err, &wrong):
		t.log.Error("fetched segment is thrown away", "err", err)
		t.store.discard(seg)
		t.update(seg)
	default:
		t.log.Error("fetched segment cannot be kept", "err", err)
	}
}

// update tells the exchange which pieces of a segment are there.
func (t *seeded) update(seg int) {
	s := t.store.segments[seg]
	for i := range s.count {
		t.tell(s.first + i)
	}
}

// writeFailed stops fetching until the next check. That a segment came from elsewhere meanwhile
// is no failure.
func (t *seeded) writeFailed(err error) {
	if errors.Is(err, errSealed) {
		return
	}
	if !t.stalled.Swap(true) {
		t.log.Error("fetching stops for a while", "err", err)
		t.torrent.Pause(true)
	}
}

// fileID tells one state of a file from another.
type fileID struct {
	size  int64
	mtime time.Time
	inode uint64
}

// identify returns the zero id for a file that does not exist.
func identify(path string) (fileID, error) {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fileID{}, nil
	}
	if err != nil {
		return fileID{}, err
	}
	id := fileID{size: st.Size(), mtime: st.ModTime()}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		id.inode = sys.Ino
	}
	return id, nil
}
