package exchange

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"strings"
	"testing"

	pp "github.com/anacrolix/torrent/peer_protocol"
)

// ten is a torrent of ten pieces.
var ten = shape{pieces: 10, length: 2 * BlockSize}

func wire(messages ...pp.Message) []byte {
	var b bytes.Buffer
	for _, m := range messages {
		put(&b, m)
	}
	return b.Bytes()
}

func TestReaderTakesWhatFits(t *testing.T) {
	r := newReader(bytes.NewReader(wire(
		pp.Message{Keepalive: true},
		pp.Message{Type: pp.Bitfield, Bitfield: make([]bool, 10)},
		pp.Message{Type: pp.Unchoke},
		pp.Message{Type: pp.Have, Index: 9},
		pp.Message{Type: pp.Request, Index: 9, Begin: BlockSize, Length: BlockSize},
		pp.Message{Type: pp.Piece, Index: 0, Begin: 5, Piece: []byte("data")},
		pp.Message{Type: pp.Extended, ExtendedID: 3, ExtendedPayload: []byte("x")},
		pp.Message{Type: pp.Bitfield, Bitfield: make([]bool, 10)},
	)), ten, headBuffer)
	if m, err := r.next(); err != nil || !m.Keepalive {
		t.Fatalf("read %+v, %v, want a keep-alive", m, err)
	}
	for _, want := range []pp.MessageType{pp.Bitfield, pp.Unchoke, pp.Have, pp.Request, pp.Piece, pp.Extended, pp.Bitfield} {
		m, err := r.next()
		if err != nil || m.Type != want {
			t.Fatalf("read %v, %v, want %v", m.Type, err, want)
		}
		if m.Type == pp.Piece && string(m.Piece) != "data" {
			t.Errorf("data %q", m.Piece)
		}
		release(&m)
	}
	if _, err := r.next(); err == nil {
		t.Error("something follows")
	}
}

func TestReaderRefuses(t *testing.T) {
	huge := binary.BigEndian.AppendUint32(nil, 1<<31)
	spare := make([]bool, 16)
	spare[10] = true
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"huge":              {append(huge, byte(pp.Piece)), "too long"},
		"no such message":   {[]byte{0, 0, 0, 1, 99}, "unhandled"},
		"short":             {[]byte{0, 0, 0, 3, byte(pp.Have), 0, 0}, "EOF"},
		"piece beyond":      {wire(pp.Message{Type: pp.Have, Index: 10}), "piece 10 of 10"},
		"bits of another":   {wire(pp.Message{Type: pp.Bitfield, Bitfield: make([]bool, 17)}), "24 bits for 10 pieces"},
		"spare bits":        {wire(pp.Message{Type: pp.Bitfield, Bitfield: spare}), "beyond the last"},
		"beyond the piece":  {wire(pp.Message{Type: pp.Request, Begin: 2*BlockSize - 1, Length: 2}), "2 bytes at 32767"},
		"much at once":      {wire(pp.Message{Type: pp.Request, Length: BlockSize + 1}), "16385 bytes"},
		"nothing":           {wire(pp.Message{Type: pp.Request}), "0 bytes"},
		"cancelled nowhere": {wire(pp.Message{Type: pp.Cancel, Index: 10, Length: 1}), "piece 10"},
		"data of nothing":   {wire(pp.Message{Type: pp.Piece}), "0 bytes"},
		"data too long":     {wire(pp.Message{Type: pp.Piece, Piece: make([]byte, BlockSize+1)}), "too long"},
		"offset overflows":  {wire(pp.Message{Type: pp.Request, Begin: 1<<32 - 1, Length: 1}), "at 4294967295"},
	} {
		_, err := newReader(bytes.NewReader(c.data), ten, headBuffer).next()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// What is written and read here without the library is what it writes and reads.
func TestMessagesAreTheLibrarys(t *testing.T) {
	for _, m := range []pp.Message{
		{Type: pp.Have, Index: 9},
		{Type: pp.Request, Index: 8, Begin: BlockSize, Length: BlockSize},
		{Type: pp.Cancel, Index: 7, Begin: BlockSize, Length: 5},
		{Type: pp.Piece, Index: 6, Begin: BlockSize, Piece: []byte("data")},
	} {
		if got, want := wire(m), m.MustMarshalBinary(); !bytes.Equal(got, want) {
			t.Errorf("%s: wrote % x, want % x", m.Type, got, want)
		}
		got, err := newReader(bytes.NewReader(wire(m)), ten, headBuffer).next()
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("read %+v, %v, want %+v", got, err, m)
		}
		whole := wire(m)
		for n := range whole {
			if m, err := newReader(bytes.NewReader(whole[:n]), ten, headBuffer).next(); err == nil {
				t.Errorf("read %+v of %d bytes", m, n)
			}
		}
	}
}

// BenchmarkMessages writes and reads what goes with a block: it was asked for, and others say that they have the piece.
func BenchmarkMessages(b *testing.B) {
	b.ReportAllocs()
	s := shape{pieces: 10, length: 2 * BlockSize}
	piece := pp.Message{Type: pp.Piece, Begin: BlockSize, Piece: make([]byte, BlockSize)}.MustMarshalBinary()
	var sent bytes.Buffer
	r := newReader(&sent, s, readBuffer)
	b.SetBytes(BlockSize)
	for b.Loop() {
		for i := range 10 {
			put(&sent, haveMessage(i))
		}
		put(&sent, block{0, BlockSize, BlockSize}.message(pp.Request))
		sent.Write(piece)
		for range 12 {
			m, err := r.next()
			if err != nil {
				b.Fatal(err)
			}
			release(&m)
		}
	}
}

func TestPieceHeader(t *testing.T) {
	k := block{piece: 7, begin: BlockSize, length: 5}
	got := append(make([]byte, pieceHeader), "hello"...)
	putPieceHeader(got, k)
	if want := wire(pp.Message{Type: pp.Piece, Index: 7, Begin: BlockSize, Piece: []byte("hello")}); !bytes.Equal(got, want) {
		t.Errorf("wrote % x, want % x", got, want)
	}
}

// FuzzReader reads what a peer may send: nothing but messages that fit the torrent may come of it.
func FuzzReader(f *testing.F) {
	f.Add(wire(pp.Message{Type: pp.Bitfield, Bitfield: make([]bool, 10)}, pp.Message{Type: pp.Have, Index: 3}))
	f.Add(wire(pp.Message{Type: pp.Piece, Index: 1, Begin: BlockSize, Piece: []byte("data")}))
	f.Add(wire(pp.Message{Type: pp.Hashes, Hashes: make([][32]byte, 2)}, pp.Message{Type: pp.Port, Port: 1}))
	f.Add(wire(pp.Message{Type: pp.Cancel, Index: 1, Length: 2}, pp.Message{Type: pp.Extended, ExtendedPayload: []byte("d1:md1:a")}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 7})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newReader(bytes.NewReader(data), ten, headBuffer)
		for {
			m, err := r.next()
			if err != nil {
				return
			}
			switch end := int64(m.Begin) + int64(m.Length); m.Type {
			case pp.Have, pp.Request, pp.Cancel, pp.Piece:
				if m.Index >= 10 || len(m.Piece) > BlockSize || m.Length > BlockSize || end > ten.length {
					t.Fatalf("read %+v", m)
				}
			case pp.Bitfield:
				if len(m.Bitfield) != 16 {
					t.Fatalf("read %+v", m)
				}
			}
			release(&m)
		}
	})
}
