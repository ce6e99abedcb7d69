package swarm

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"github.com/anacrolix/torrent/metainfo"

	"github.com/luna-hpc/luna/pkg/swarm/exchange"
)

const digestPiece = 16 << 10

// oneSegment is a store for a segment with these bytes, whose name is that of others if named is not nil.
func oneSegment(t *testing.T, data, named []byte) *store {
	t.Helper()
	if named == nil {
		named = data
	}
	sum := sha256.Sum256(named)
	l := &layout{pieceLength: digestPiece, info: &metainfo.Info{PieceLength: digestPiece}}
	pieces, err := metainfo.GeneratePieces(bytes.NewReader(data), digestPiece, nil)
	if err != nil {
		t.Fatal(err)
	}
	l.info.Pieces = pieces
	l.segments = []segment{{hex: hex.EncodeToString(sum[:]), size: int64(len(data)), count: len(data) / digestPiece}}
	return newStore(t.TempDir(), l, func(int) {})
}

func putPieces(t *testing.T, s *store, data []byte, pieces ...int) {
	t.Helper()
	for _, i := range pieces {
		if err := s.Put(i, data[i*digestPiece:(i+1)*digestPiece], exchange.Source{}); err != nil {
			t.Fatal(err)
		}
	}
}

func noise(pieces int) []byte {
	data := make([]byte, pieces*digestPiece)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(data) // never fails
	return data
}

// What came from the first piece on is in the digest before the last one comes.
func TestDigestFollowsWhatCame(t *testing.T) {
	data := noise(40)
	s := oneSegment(t, data, nil)
	d := &s.segs[0].digest
	putPieces(t, s, data, 1, 3, 2, 5)
	if d.next != 0 {
		t.Errorf("%d pieces are in the digest, and the first has not come", d.next)
	}
	putPieces(t, s, data, 0)
	if d.next != 4 {
		t.Errorf("%d pieces are in the digest after 0 to 3 came, not 4", d.next)
	}
	for i := 4; i < 39; i++ {
		putPieces(t, s, data, i)
	}
	if d.next != 39 {
		t.Errorf("%d pieces are in the digest after 0 to 38 came, not 39", d.next)
	}
	putPieces(t, s, data, 39)
	if err := s.finish(0); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(s.path(0)); err != nil || !bytes.Equal(got, data) {
		t.Errorf("the segment has other bytes: %v", err)
	}
	if d.next != 0 || d.buf != nil {
		t.Error("the digest of a segment that is done is kept")
	}
}

// A segment that came in any order, from many at once, has its digest; one of another name has not, again and again.
func TestDigestInAnyOrder(t *testing.T) {
	data := noise(64)
	for round := range 20 {
		var named []byte
		if round%2 == 1 {
			named = noise(1)
		}
		s := oneSegment(t, data, named)
		for range 2 { // the second time after all was thrown away
			var wg sync.WaitGroup
			for part := range 4 {
				wg.Go(func() {
					for _, i := range rand.Perm(16) {
						if err := s.Put(4*i+part, data[(4*i+part)*digestPiece:][:digestPiece], exchange.Source{}); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			if named == nil {
				break
			}
			var wrong *wrongSegment
			if err := s.finish(0); !errors.As(err, &wrong) {
				t.Fatalf("a segment with another digest is finished: %v", err)
			}
			s.discard(0)
		}
		if named == nil {
			if err := s.finish(0); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A piece that was lost and came again counts with the bytes that it has then.
func TestDigestForgetsLostPieces(t *testing.T) {
	data := noise(8)
	s := oneSegment(t, data, nil)
	putPieces(t, s, data, 0, 1, 2, 3, 4, 5)
	if err := s.use(0, true, func(f *os.File) error { _, err := f.WriteAt(make([]byte, digestPiece), 2*digestPiece); return err }); err != nil {
		t.Fatal(err)
	}
	s.markMissing(2)
	putPieces(t, s, data, 6, 2, 7)
	if err := s.finish(0); err != nil {
		t.Error(err)
	}
	// One that is not in the digest yet leaves what is.
	s = oneSegment(t, data, nil)
	putPieces(t, s, data, 0, 1, 4)
	s.markMissing(4)
	if n := s.segs[0].digest.next; n != 2 {
		t.Errorf("%d pieces are in the digest, not 2", n)
	}
}
