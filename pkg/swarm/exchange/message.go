package exchange

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	pp "github.com/anacrolix/torrent/peer_protocol"
)

// readBuffer is how much is read from a connection at once, and headBuffer from one to which little
// is sent: a head has many.
const (
	readBuffer = 32 << 10
	headBuffer = 2 << 10
)

// blocks has buffers for the data of piece messages.
var blocks = sync.Pool{New: func() any { b := make([]byte, BlockSize); return &b }}

// shape is what the messages of a torrent must fit.
type shape struct {
	pieces int
	length int64 // of a piece, in bytes
}

// reader reads the messages of one peer. It allocates no more than a torrent's messages can need,
// whatever length the peer names.
type reader struct {
	shape
	dec pp.Decoder
	// sure is told of which piece a block begins to come, and how many bytes of its message are not there yet, which is
	// less than none when more is there; it may be nil.
	sure func(piece, bytes int)
}

func newReader(r io.Reader, s shape, buffer int) *reader {
	longest := max(9+BlockSize, 1+(s.pieces+7)/8)
	return &reader{shape: s, dec: pp.Decoder{R: bufio.NewReaderSize(r, buffer), Pool: &blocks, MaxLength: pp.Integer(longest)}}
}

// next returns the next message. What does not fit the torrent is an error. The data of a piece message goes back by
// release.
func (r *reader) next() (m pp.Message, err error) {
	if err := r.decode(&m); err != nil || m.Keepalive {
		return m, err
	}
	if err := r.check(&m); err != nil {
		release(&m)
		return m, err
	}
	return m, nil
}

// release gives back the buffer of a piece message.
func release(m *pp.Message) {
	if cap(m.Piece) >= BlockSize {
		b := m.Piece[:BlockSize]
		blocks.Put(&b)
	}
	m.Piece = nil
}

func (r *reader) check(m *pp.Message) error {
	switch m.Type {
	case pp.Have:
		if int64(m.Index) >= int64(r.pieces) {
			return fmt.Errorf("has piece %d of %d", m.Index, r.pieces)
		}
	case pp.Bitfield:
		return r.checkBitfield(m.Bitfield)
	case pp.Request, pp.Cancel:
		return r.checkBlock(m.Type, m.Index, m.Begin, int64(m.Length))
	case pp.Piece:
		return r.checkBlock(m.Type, m.Index, m.Begin, int64(len(m.Piece)))
	}
	return nil
}

func (r *reader) checkBitfield(b []bool) error {
	if len(b) != (r.pieces+7)/8*8 {
		return fmt.Errorf("bitfield has %d bits for %d pieces", len(b), r.pieces)
	}
	for _, spare := range b[r.pieces:] {
		if spare {
			return fmt.Errorf("bitfield has pieces beyond the last")
		}
	}
	return nil
}

func (r *reader) checkBlock(t pp.MessageType, piece, begin pp.Integer, length int64) error {
	if int64(piece) >= int64(r.pieces) || length < 1 || length > BlockSize || int64(begin)+length > r.length {
		return fmt.Errorf("%s of %d bytes at %d of piece %d", t, length, begin, piece)
	}
	return nil
}

// put appends a message to what goes out; those that go by the thousand without the library's reflection.
func put(out *bytes.Buffer, m pp.Message) {
	b := out.AvailableBuffer()
	switch m.Type {
	case pp.Have:
		b = binary.BigEndian.AppendUint32(b, 5)
		b = append(b, byte(m.Type))
		b = binary.BigEndian.AppendUint32(b, uint32(m.Index))
	case pp.Request, pp.Cancel:
		b = binary.BigEndian.AppendUint32(b, 13)
		b = append(b, byte(m.Type))
		b = binary.BigEndian.AppendUint32(b, uint32(m.Index))
		b = binary.BigEndian.AppendUint32(b, uint32(m.Begin))
		b = binary.BigEndian.AppendUint32(b, uint32(m.Length))
	default:
		_ = m.WriteTo(out) // a buffer takes everything
		return
	}
	_, _ = out.Write(b) // the same
}

// pieceHeader is the length of what stands before the data of a piece message.
const pieceHeader = 13

// putPieceHeader writes what stands before a block's data into b.
func putPieceHeader(b []byte, k block) {
	binary.BigEndian.PutUint32(b, uint32(9+k.length))
	b[4] = byte(pp.Piece)
	binary.BigEndian.PutUint32(b[5:], uint32(k.piece))
	binary.BigEndian.PutUint32(b[9:], uint32(k.begin))
}

// block is a part of a piece that is asked for.
type block struct{ piece, begin, length int32 }

func blockOf(m *pp.Message) block {
	return block{int32(m.Index), int32(m.Begin), int32(m.Length)}
}

func (k block) message(t pp.MessageType) pp.Message {
	return pp.Message{Type: t, Index: pp.Integer(k.piece), Begin: pp.Integer(k.begin), Length: pp.Integer(k.length)}
}
