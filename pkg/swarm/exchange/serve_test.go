package exchange

import (
	"bytes"
	"testing"

	pp "github.com/anacrolix/torrent/peer_protocol"
)

func TestSideBySide(t *testing.T) {
	for name, c := range map[string]struct {
		blocks   []block
		n, bytes int
	}{
		"one":         {[]block{{1, BlockSize, BlockSize}}, 1, BlockSize},
		"all":         {[]block{{1, 0, 5}, {1, 5, 7}, {1, 12, 1}}, 3, 13},
		"a gap":       {[]block{{1, 0, 5}, {1, 6, 7}}, 1, 5},
		"twice":       {[]block{{1, 0, 5}, {1, 0, 5}}, 1, 5},
		"from behind": {[]block{{1, 5, 5}, {1, 0, 5}}, 1, 5},
	} {
		if n, bytes := sideBySide(c.blocks); n != c.n || bytes != c.bytes {
			t.Errorf("%s: %d blocks of %d bytes, want %d of %d", name, n, bytes, c.n, c.bytes)
		}
	}
}

// places has pieces of which each byte tells where it is.
type places struct{ memory }

func (places) ReadAt(piece int, b []byte, off int64) (int, error) {
	for i := range b {
		b[i] = byte((int64(piece)<<20 + off + int64(i)) % 251)
	}
	return len(b), nil
}

// TestPiecesAreServedWhole asks for blocks of a piece in one go, and of another one by one and twice.
func TestPiecesAreServedWhole(t *testing.T) {
	h, _ := runHostOf(t, places{}, Head, 10)
	k := call(t, h, "-XX0000-aaaaaaaaaaaa")
	k.hear(pp.Bitfield)
	k.hear(pp.Unchoke)
	want := []block{{3, 0, BlockSize}, {3, BlockSize, BlockSize}, {7, BlockSize, BlockSize}, {7, 0, BlockSize}, {7, 100, 50}, {7, 0, BlockSize}, {3, 5, 10}, {3, 15, 10}}
	for _, b := range want {
		k.say(b.message(pp.Request))
	}
	for _, b := range want {
		m := k.hear(pp.Piece)
		if int32(m.Index) != b.piece || int32(m.Begin) != b.begin || len(m.Piece) != int(b.length) {
			t.Fatalf("got %d bytes at %d of piece %d, want %+v", len(m.Piece), m.Begin, m.Index, b)
		}
		want := make([]byte, b.length)
		if _, _ = (places{}).ReadAt(int(b.piece), want, int64(b.begin)); !bytes.Equal(m.Piece, want) {
			t.Fatalf("%+v has other bytes", b)
		}
	}
}
