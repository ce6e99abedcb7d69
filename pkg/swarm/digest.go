package swarm

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"
)

const (
	// followMost is how many pieces are taken into a digest for one that came: it catches up, and who put that one does
	// not wait for long.
	followMost = 4
	// followBuffer is the bytes that are read at once.
	followBuffer = 64 << 10
)

// digest is the SHA-256 of a segment that is being written, as far as its pieces are there in one go from the first,
// so that little is left to be read when the last one came.
type digest struct {
	mu   sync.Mutex
	hash hash.Hash // nil before the first piece
	buf  []byte
	next int // pieces that are in it
}

// follow takes some of the pieces of a segment into its digest.
func (s *store) follow(seg int) {
	d := &s.segs[seg].digest
	if !d.mu.TryLock() {
		return // who has it will come to what is there now, or finish does
	}
	defer d.mu.Unlock()
	first, count := s.segments[seg].first, s.segments[seg].count
	for range followMost {
		if d.next == count || !s.Has(first+d.next) || s.add(seg, d, d.next+1) != nil {
			return
		}
	}
}

// add reads the pieces of a segment up to one into its digest; after an error the digest begins anew. d.mu is held.
func (s *store) add(seg int, d *digest, end int) error {
	if d.hash == nil {
		d.hash, d.buf = sha256.New(), make([]byte, followBuffer)
	}
	var n int64
	want := int64(end-d.next) * s.pieceLength
	err := s.use(seg, false, func(f *os.File) (err error) {
		part := io.NewSectionReader(f, s.base(seg)+int64(d.next)*s.pieceLength, want)
		n, err = io.CopyBuffer(d.hash, part, d.buf)
		return err
	})
	if err == nil && n != want {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		d.reset()
		return fmt.Errorf("read segment %s: %w", s.segments[seg].hex, err)
	}
	d.next = end
	return nil
}

// sum256 returns the digest of a whole segment in hexadecimal, and forgets it.
func (s *store) sum256(seg int) (string, error) {
	d := &s.segs[seg].digest
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := s.add(seg, d, s.segments[seg].count); err != nil {
		return "", err
	}
	defer d.reset()
	return hex.EncodeToString(d.hash.Sum(nil)), nil
}

// forget begins the digest of a segment anew, if one of its pieces is in it.
func (d *digest) forget(piece int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if piece < d.next {
		d.reset()
	}
}

// reset begins anew; d.mu is held.
func (d *digest) reset() { d.hash, d.buf, d.next = nil, nil, 0 }
