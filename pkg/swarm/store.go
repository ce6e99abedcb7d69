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
)

// store keeps the segments of one torrent in a directory. A segment that is not whole yet has
// the name <hex>.part; <hex> itself is never written to.
//
// A piece is done once its SHA-1 was checked. What arrives for it later is thrown away, so a peer
// that is late or lies cannot spoil what was checked.
type store struct {
	*layout
	dir string
	// written is called when the last piece of a segment that was being written is done. It must not block.
	written func(seg int)
	// received is called for each piece that came from peers and was found right; it may be nil.
	received func(piece int)

	pieceLocks []sync.Mutex // a piece is written or hashed, never both
	done       []atomic.Bool
	segs       []segmentState
}

type segmentState struct {
	mu sync.RWMutex // guards sealed, held while a file is opened under the name it tells
	// sealed says that the segment is read from <hex>, not from <hex>.part.
	sealed bool
	left   atomic.Int64 // pieces not done
	// damaged says that pieces of the sealed file were found wrong.
	damaged atomic.Bool
}

var (
	errSealed     = errors.New("the segment is not to be written")
	errWrongPiece = errors.New("wrong piece")
)

func newStore(dir string, l *layout, written func(seg int)) *store {
	s := &store{layout: l, dir: dir, written: written,
		pieceLocks: make([]sync.Mutex, l.pieces()), done: make([]atomic.Bool, l.pieces()),
		segs: make([]segmentState, len(l.segments))}
	for i, seg := range l.segments {
		s.segs[i].left.Store(int64(seg.count))
	}
	return s
}

func (s *store) path(seg int) string { return filepath.Join(s.dir, s.segments[seg].hex) }

func (s *store) partPath(seg int) string { return s.path(seg) + ".part" }

// open opens a segment for reading, whatever its name is now.
func (s *store) open(seg int) (*os.File, error) {
	st := &s.segs[seg]
	st.mu.RLock()
	defer st.mu.RUnlock()
	if st.sealed {
		return os.Open(s.path(seg))
	}
	return os.Open(s.partPath(seg))
}

// openPart opens a segment for writing.
func (s *store) openPart(seg int) (*os.File, error) {
	st := &s.segs[seg]
	st.mu.RLock()
	defer st.mu.RUnlock()
	if st.sealed {
		return nil, errSealed
	}
	return os.OpenFile(s.partPath(seg), os.O_WRONLY|os.O_CREATE, 0o644)
}

// setSealed says whether a segment is read from <hex>.
func (s *store) setSealed(seg int, sealed bool) {
	s.segs[seg].mu.Lock()
	defer s.segs[seg].mu.Unlock()
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
	if err := os.Rename(s.partPath(seg), s.path(seg)); err != nil {
		return fmt.Errorf("name segment: %w", err)
	}
	s.segs[seg].sealed = true
	return nil
}

// readAt reads from one piece; off counts from its beginning.
func (s *store) readAt(piece int, b []byte, off int64) (int, error) {
	f, err := s.open(s.find(piece))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.ReadAt(b, s.offset(piece)+off)
}

// writeAt writes a part of one piece, unless that is done.
func (s *store) writeAt(piece int, b []byte, off int64) (int, error) {
	s.pieceLocks[piece].Lock()
	defer s.pieceLocks[piece].Unlock()
	if s.done[piece].Load() {
		return len(b), nil
	}
	return s.write(piece, b, off)
}

func (s *store) write(piece int, b []byte, off int64) (int, error) {
	seg := s.find(piece)
	f, err := s.openPart(seg)
	if err != nil {
		return 0, fmt.Errorf("write segment %s: %w", s.segments[seg].hex, err)
	}
	defer f.Close()
	n, err := f.WriteAt(b, s.offset(piece)+off)
	if err != nil {
		return n, fmt.Errorf("write segment %s: %w", s.segments[seg].hex, err)
	}
	return n, nil
}

// copyTo writes a piece to w as it is now, for hashing.
func (s *store) copyTo(piece int, w io.Writer) (int64, error) {
	s.pieceLocks[piece].Lock()
	defer s.pieceLocks[piece].Unlock()
	f, err := s.open(s.find(piece))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return io.Copy(w, io.NewSectionReader(f, s.offset(piece), s.pieceLength))
}

// put checks a whole piece, writes it and marks it done. A piece that is wrong changes nothing.
func (s *store) put(piece int, data []byte) error {
	if want := s.sum(piece); sha1.Sum(data) != want {
		return fmt.Errorf("%w: piece %d, of segment %s: SHA-1 is %x, should be %x",
			errWrongPiece, piece, s.segments[s.find(piece)].hex, sha1.Sum(data), want)
	}
	s.pieceLocks[piece].Lock()
	defer s.pieceLocks[piece].Unlock()
	if s.done[piece].Load() {
		return nil
	}
	if _, err := s.write(piece, data, 0); err != nil {
		return err
	}
	s.markDone(piece)
	return nil
}

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
		s.segs[s.find(piece)].left.Add(1)
	}
}

// missing returns the pieces that are not done.
func (s *store) missing() []int {
	var m []int
	for i := range s.done {
		if !s.done[i].Load() {
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
		if s.done[i].Load() {
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
		if _, err := io.Copy(h, io.NewSectionReader(f, int64(i)*s.pieceLength, s.pieceLength)); err != nil {
			return fmt.Errorf("read segment: %w", err)
		}
		want := s.sum(piece)
		if err := found(piece, bytes.Equal(h.Sum(nil), want[:])); err != nil {
			return err
		}
	}
	return nil
}
