package exchange

import (
	"encoding/binary"
	"io"

	pp "github.com/anacrolix/torrent/peer_protocol"
)

// decode reads a message: those that come by the thousand without the library, which takes memory for each.
func (r *reader) decode(m *pp.Message) error {
	length, kind, err := r.peek()
	switch {
	case err != nil:
		return err
	case kind == pp.Have && length == 5, (kind == pp.Request || kind == pp.Cancel) && length == 13:
		return r.decodeNumbers(m, 4+length)
	case kind == pp.Piece && length >= 9 && length <= 9+BlockSize:
		return r.decodeBlock(m, length-9)
	}
	return r.dec.Decode(m)
}

// peek looks how long the next message is, and of what kind; one without a kind, or too long, has length 0.
func (r *reader) peek() (length int, kind pp.MessageType, err error) {
	b, err := r.dec.R.Peek(4)
	if err != nil {
		return 0, 0, err
	}
	n := binary.BigEndian.Uint32(b)
	if n == 0 || n > uint32(r.dec.MaxLength) {
		return 0, 0, nil
	}
	if b, err = r.dec.R.Peek(5); err != nil {
		return 0, 0, err
	}
	return int(n), pp.MessageType(b[4]), nil
}

// decodeNumbers reads a message of n bytes with a piece, or a block.
func (r *reader) decodeNumbers(m *pp.Message, n int) error {
	b, err := r.dec.R.Peek(n)
	if err != nil {
		return err
	}
	m.Type = pp.MessageType(b[4])
	m.Index = pp.Integer(binary.BigEndian.Uint32(b[5:]))
	if n > 9 {
		m.Begin = pp.Integer(binary.BigEndian.Uint32(b[9:]))
		m.Length = pp.Integer(binary.BigEndian.Uint32(b[13:]))
	}
	_, err = r.dec.R.Discard(n)
	return err
}

// decodeBlock reads a piece message with so many bytes of data.
func (r *reader) decodeBlock(m *pp.Message, data int) error {
	b, err := r.dec.R.Peek(pieceHeader)
	if err != nil {
		return err
	}
	m.Type = pp.Piece
	m.Index = pp.Integer(binary.BigEndian.Uint32(b[5:]))
	m.Begin = pp.Integer(binary.BigEndian.Uint32(b[9:]))
	if r.sure != nil {
		r.sure(int(m.Index), pieceHeader+data-r.dec.R.Buffered())
	}
	if _, err = r.dec.R.Discard(pieceHeader); err != nil {
		return err
	}
	m.Piece = (*blocks.Get().(*[]byte))[:data]
	if _, err = io.ReadFull(r.dec.R, m.Piece); err != nil {
		release(m)
	}
	return err
}
