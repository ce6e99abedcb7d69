package swarm

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/luna-hpc/luna/pkg/swarm/exchange"
)

// store keeps the segments of one torrent in a directory. A segment that is not whole yet has
// the name <hex>.part; <hex> itself is never written to. A store that is joined has all of them, one behind the other,
// in a single file.
//
// A piece is done once its SHA-1 was checked. What arrives for it later is thrown away, so a peer
// that is late or lies cannot spoil what was checked.
type store struct {
	*layout
	dir string
	// joined is the name of the single file, or empty.
	joined string
	// written is called when the last piece of a segment that was being written is done. It must not block.
	written func(seg int)
	// got is called for each piece that came from a peer, before it is done; it may be nil.
	got func(from exchange.Source)

	pieceLocks []sync.Mutex // a piece is written once
	done       []atomic.Bool
	segs       []segmentState
}

type segmentState struct {
	mu sync.RWMutex // guards sealed and file, held while the file is used
	// sealed says that the segment is read from <hex>, not from <hex>.part.
	sealed bool
	file   *os.File // nil while it is not open
	used   atomic.Bool
	left   atomic.Int64 // pieces not done
	digest digest
	// damaged says that pieces of the sealed file were found wrong.
	damaged atomic.Bool
}

var errSealed = errors.New("the segment is not to be written")

func newStore(dir string, l *layout, written func(seg int)) *store {
	s := &store{layout: l, dir: dir, written: written,
		pieceLocks: make([]sync.Mutex, l.pieces()), done: make([]atomic.Bool, l.pieces()),
		segs: make([]segmentState, len(l.segments))}
	for i, seg := range l.segments {
		s.segs[i].left.Store(int64(seg.count))
	}
	return s
}

func (s *store) path(seg int) string {
	if s.joined != "" {
		return filepath.Join(s.dir, s.joined)
	}
	return filepath.Join(s.dir, s.segments[seg].hex)
}

func (s *store) partPath(seg int) string {
	if s.joined != "" {
		return s.path(seg)
	}
	return s.path(seg) + ".part"
}

// base returns where a segment begins in its file.
func (s *store) base(seg int) int64 {
	if s.joined == "" {
		return 0
	}
	return int64(s.segments[seg].first) * s.pieceLength
}

// open opens a segment for reading, whatever its name is now. The caller closes it.
func (s *store) open(seg int) (*os.File, error) {
	st := &s.segs[seg]
	st.mu.RLock()
	defer st.mu.RUnlock()
	if st.sealed {
		return os.Open(s.path(seg))
	}
	return os.Open(s.partPath(seg))
}

// use calls do with a segment's file, which stays open for the next use.
func (s *store) use(seg int, write bool, do func(f *os.File) error) error {
	st := &s.segs[seg]
	st.mu.RLock()
	for st.file == nil {
		st.mu.RUnlock()
		if err := s.openShared(seg, write); err != nil {
			return err
		}
		st.mu.RLock()
	}
	defer st.mu.RUnlock()
	if write && st.sealed {
		return errSealed
	}
	st.used.Store(true)
	return do(st.file)
}

// openShared opens the file that use works with, unless it is open.
func (s *store) openShared(seg int, write bool) (err error) {
	st := &s.segs[seg]
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case st.file != nil:
	case st.sealed:
		st.file, err = os.Open(s.path(seg))
	case write:
		st.file, err = os.OpenFile(s.partPath(seg), os.O_RDWR|os.O_CREATE, 0o644)
	default:
		st.file, err = os.OpenFile(s.partPath(seg), os.O_RDWR, 0)
	}
	if err != nil {
		st.file = nil
	}
	return err
}

// shut closes the file that use works with; mu is held.
func (st *segmentState) shut() {
	if st.file != nil {
		_ = st.file.Close() // nothing is buffered
		st.file = nil
	}
}

// closeIdle closes the files that were not used since the last call.
func (s *store) closeIdle() {
	for i := range s.segs {
		if st := &s.segs[i]; !st.used.Swap(false) {
			st.mu.Lock()
			st.shut()
			st.mu.Unlock()
		}
	}
}

// close closes all files.
func (s *store) close() {
	s.closeIdle()
	s.closeIdle() // the first call took back the marks
}

// setSealed says whether a segment is read from <hex>, and that its file may be another one now.
func (s *store) setSealed(seg int, sealed bool) {
	s.segs[seg].mu.Lock()
	defer s.segs[seg].mu.Unlock()
	s.segs[seg].shut()
	s.segs[seg].sealed = sealed
}

func (s *store) isSealed(seg int) bool {
	s.segs[seg].mu.RLock()
	defer s.segs[seg].mu.RUnlock()
	return s.segs[seg].sealed
}

// seal gives a written segment its name.
func (s *store) seal(seg int) error {
	s.segs[seg].mu.Lock()
	defer s.segs[seg].mu.Unlock()
	if s.joined == "" {
		if err := os.Rename(s.partPath(seg), s.path(seg)); err != nil {
			return fmt.Errorf("name segment: %w", err)
		}
	}
	s.segs[seg].shut() // it is open for writing
	s.segs[seg].sealed = true
	return nil
}

// ReadAt reads from one piece; off counts from its beginning.
func (s *store) ReadAt(piece int, b []byte, off int64) (n int, err error) {
	seg := s.find(piece)
	err = s.use(seg, false, func(f *os.File) error {
		n, err = f.ReadAt(b, s.base(seg)+s.offset(piece)+off)
		return err
	})
	return n, err
}

func (s *store) write(piece int, b []byte) error {
	seg := s.find(piece)
	err := s.use(seg, true, func(f *os.File) error {
		_, err := f.WriteAt(b, s.base(seg)+s.offset(piece))
		return err
	})
	if err != nil {
		return fmt.Errorf("write segment %s: %w", s.segments[seg].hex, err)
	}
	return nil
}

// Put keeps a piece that came from a peer.
func (s *store) Put(piece int, data []byte, from exchange.Source) error {
	return s.keep(piece, data, func() {
		if s.got != nil {
			s.got(from)
		}
	})
}

// keep checks a whole piece, writes it, has it counted and marks it done. A piece that is wrong changes nothing,
// one that is there is not counted again.
func (s *store) keep(piece int, data []byte, count func()) error {
	if got, want := sha1.Sum(data), s.sum(piece); got != want {
		return fmt.Errorf("%w: piece %d, of segment %s: SHA-1 is %x, should be %x",
			exchange.ErrWrongPiece, piece, s.segments[s.find(piece)].hex, got, want)
	}
	s.pieceLocks[piece].Lock()
	defer s.pieceLocks[piece].Unlock()
	if s.Has(piece) {
		return nil
	}
	if err := s.write(piece, data); err != nil {
		return err
	}
	count()
	s.markDone(piece)
	if seg := s.find(piece); !s.whole(seg) {
		s.follow(seg)
	}
	return nil
}

// Has tells whether a piece is done.
func (s *store) Has(piece int) bool { return s.done[piece].Load() }

// markDone notes that a piece is there and right.
func (s *store) markDone(piece int) {
	if s.done[piece].Swap(true) {
		return
	}
	seg := s.find(piece)
	if s.segs[seg].left.Add(-1) == 0 && !s.isSealed(seg) {
		s.written(seg)
	}
}

// markMissing notes that a piece is not there.
func (s *store) markMissing(piece int) {
	if s.done[piece].Swap(false) {
		seg := s.find(piece)
		s.segs[seg].left.Add(1)
		s.segs[seg].digest.forget(piece - s.segments[seg].first)
	}
}

// missing returns the pieces that are not done.
func (s *store) missing() []int {
	var m []int
	for i := range s.done {
		if !s.Has(i) {
			m = append(m, i)
		}
	}
	return m
}

// whole tells whether every piece of a segment is done.
func (s *store) whole(seg int) bool { return s.segs[seg].left.Load() == 0 }

// completed returns the bytes of all pieces that are done.
func (s *store) completed() int64 {
	var n int64
	for i := range s.done {
		if s.Has(i) {
			n += s.pieceLength
		}
	}
	return n
}

// check hashes the pieces of a segment as they lie on disk, calls found for each, and returns
// the first error of reading; a file that is too short has pieces that are wrong.
func (s *store) check(seg int, found func(piece int, right bool) error) error {
	f, err := s.open(seg)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha1.New()
	for i := range s.segments[seg].count {
		piece := s.segments[seg].first + i
		h.Reset()
		if _, err := io.Copy(h, io.NewSectionReader(f, s.base(seg)+int64(i)*s.pieceLength, s.pieceLength)); err != nil {
			return fmt.Errorf("read segment: %w", err)
		}
		want := s.sum(piece)
		if err := found(piece, bytes.Equal(h.Sum(nil), want[:])); err != nil {
			return err
		}
	}
	return nil
}
