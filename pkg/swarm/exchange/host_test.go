package exchange

import (
	"bufio"
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anacrolix/torrent/metainfo"
	pp "github.com/anacrolix/torrent/peer_protocol"
)

// memory has pieces that are full of their number.
type memory struct {
	got chan int // pieces that were put
}

func (memory) ReadAt(piece int, b []byte, _ int64) (int, error) {
	return copy(b, bytes.Repeat([]byte{byte(piece)}, len(b))), nil
}

func (m memory) Put(piece int, data []byte, _ Source) error {
	if !bytes.Equal(data, bytes.Repeat([]byte{byte(piece)}, len(data))) {
		return ErrWrongPiece
	}
	m.got <- piece
	return nil
}

func (memory) Has(int) bool { return true }

// fickle takes a piece back while it is put, the first time.
type fickle struct {
	memory
	taken atomic.Bool
}

func (f *fickle) Has(int) bool { return f.taken.Swap(true) }

var hash = metainfo.HashBytes([]byte("torrent"))

// runHost runs a host with a torrent of ten pieces, or more when it has more.
func runHost(t *testing.T, k Kind, has int, got chan int) (*Host, *Torrent) {
	t.Helper()
	return runHostOf(t, memory{got}, k, has)
}

func runHostOf(t *testing.T, pieces Pieces, k Kind, has int) (*Host, *Torrent) {
	t.Helper()
	h, err := Listen(Config{Kind: k, Listen: netip.MustParseAddrPort("127.0.0.1:0"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	tor, err := h.Add(TorrentConfig{Hash: hash, Count: max(10, has), PieceLength: 2 * BlockSize, Pieces: pieces, Peers: 20})
	if err != nil {
		t.Fatal(err)
	}
	for i := range has {
		tor.Have(i)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return h, tor
}

// talk is a conversation with a host.
type talk struct {
	t *testing.T
	net.Conn
	dec pp.Decoder
}

func call(t *testing.T, h *Host, id string) *talk {
	t.Helper()
	c, err := net.Dial("tcp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), h.Port()).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := pp.Handshake(t.Context(), c, &hash, [20]byte([]byte(id)), pp.PeerExtensionBits{}); err != nil {
		t.Fatal(err)
	}
	return &talk{t: t, Conn: c, dec: pp.Decoder{R: bufio.NewReader(c), MaxLength: 1 << 20}}
}

func (k *talk) say(m pp.Message) {
	k.t.Helper()
	if _, err := k.Write(m.MustMarshalBinary()); err != nil {
		k.t.Fatal(err)
	}
}

func (k *talk) hear(want pp.MessageType) (m pp.Message) {
	k.t.Helper()
	if err := k.dec.Decode(&m); err != nil || m.Type != want {
		k.t.Fatalf("heard %v, %v, want %v", m.Type, err, want)
	}
	return m
}

// give answers requests with blocks that are full of a byte.
func (k *talk) give(requests int, full byte) {
	k.t.Helper()
	for range requests {
		m := k.hear(pp.Request)
		k.say(pp.Message{Type: pp.Piece, Index: m.Index, Begin: m.Begin, Piece: bytes.Repeat([]byte{full}, int(m.Length))})
	}
}

// stranger is a foreign client that lets a node, which has nothing, ask.
func stranger(t *testing.T, h *Host) *talk {
	t.Helper()
	k := call(t, h, "-XX0000-aaaaaaaaaaaa")
	k.hear(pp.Unchoke)
	k.hear(pp.Interested)
	k.say(pp.Message{Type: pp.Unchoke})
	return k
}

// over fails unless the host ends the conversation.
func (k *talk) over() {
	k.t.Helper()
	for {
		var m pp.Message
		if err := k.dec.Decode(&m); err != nil {
			return
		}
	}
}

func TestHeadOffersToANode(t *testing.T) {
	h, _ := runHost(t, Head, 2*offerWidth, nil)
	k := call(t, h, "-LN0200-aaaaaaaaaaaa")
	k.hear(pp.Unchoke)
	k.say(pp.Message{Type: pp.Interested})
	seen := map[pp.Integer]bool{}
	var last pp.Integer
	for range offerWidth {
		last = k.hear(pp.Have).Index
		seen[last] = true
	}
	k.say(pp.Message{Type: pp.Request, Index: last, Begin: BlockSize, Length: 100})
	if m := k.hear(pp.Piece); m.Index != last || m.Begin != BlockSize || !bytes.Equal(m.Piece, bytes.Repeat([]byte{byte(last)}, 100)) {
		t.Errorf("heard %d bytes at %d of piece %d", len(m.Piece), m.Begin, m.Index)
	}
	k.say(pp.Message{Type: pp.Have, Index: last})
	if next := k.hear(pp.Have).Index; seen[next] {
		t.Errorf("piece %d is offered twice", next)
	}
}

func TestHeadShowsAStrangerAll(t *testing.T) {
	h, tor := runHost(t, Head, 9, nil)
	k := call(t, h, "-XX0000-aaaaaaaaaaaa")
	if m := k.hear(pp.Bitfield); !m.Bitfield[8] || m.Bitfield[9] {
		t.Errorf("heard %v", m.Bitfield)
	}
	k.hear(pp.Unchoke)
	tor.Have(9)
	if m := k.hear(pp.Have); m.Index != 9 {
		t.Errorf("heard of %d", m.Index)
	}
	tor.Lose(3) // which cannot be said
	k.over()
}

func TestNodeTakesFromAStranger(t *testing.T) {
	got := make(chan int, 1)
	h, tor := runHost(t, Node, 9, got)
	tor.Want(0, 10, true)
	k := call(t, h, "-XX0000-aaaaaaaaaaaa")
	k.hear(pp.Bitfield)
	k.hear(pp.Unchoke)
	k.hear(pp.Interested)
	k.say(pp.Message{Type: pp.Unchoke})
	k.say(pp.Message{Type: pp.Have, Index: 9})
	k.give(2, 9)
	if piece := <-got; piece != 9 {
		t.Errorf("got piece %d", piece)
	}
	k.hear(pp.NotInterested)
}

// A head that offers a node what it got from another hears so, long before the node would have told it.
func TestNodeTellsAHeadWhatItHasAlready(t *testing.T) {
	got := make(chan int, 1)
	h, tor := runHost(t, Node, 0, got)
	tor.Crowd(crowdMost)
	tor.Want(0, 10, true)
	head := call(t, h, "-LH0200-aaaaaaaaaaaa")
	head.hear(pp.Unchoke)
	head.hear(pp.Interested)
	k := stranger(t, h)
	k.say(pp.Message{Type: pp.Have, Index: 9})
	k.give(2, 9)
	<-got
	if err := head.SetDeadline(time.Now().Add(untilHeads(0, crowdMost) / 2)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first one may come before the node has taken the piece in
		head.say(pp.Message{Type: pp.Have, Index: 9})
		time.Sleep(100 * time.Millisecond)
	}
	if m := head.hear(pp.Have); m.Index != 9 {
		t.Errorf("the head is told of piece %d", m.Index)
	}
}

func TestPieceTakenBackWhileItIsPutIsFetchedAgain(t *testing.T) {
	got := make(chan int, 2)
	h, tor := runHostOf(t, &fickle{memory: memory{got}}, Node, 0)
	tor.Want(0, 10, true)
	k := stranger(t, h)
	k.say(pp.Message{Type: pp.Have, Index: 4})
	k.give(4, 4)
	for range 2 {
		if piece := <-got; piece != 4 {
			t.Errorf("got piece %d", piece)
		}
	}
}

func TestWhoSendsAWrongPieceIsLeftAlone(t *testing.T) {
	h, tor := runHost(t, Node, 0, nil)
	tor.Want(0, 10, true)
	k := stranger(t, h)
	k.say(pp.Message{Type: pp.Have, Index: 4})
	k.give(2, 0)
	k.over()
	call(t, h, "-XX0000-bbbbbbbbbbbb").over()
}

func TestWhoTalksNonsenseIsDisconnected(t *testing.T) {
	h, _ := runHost(t, Head, 10, nil)
	for _, m := range []pp.Message{{Type: pp.Have, Index: 10}, {Type: pp.Request, Length: 1 << 20}, {Type: pp.Bitfield, Bitfield: make([]bool, 99)}} {
		k := call(t, h, "-LN0200-aaaaaaaaaaaa")
		k.say(m)
		k.over()
	}
}

// TestTakerTellsNothing: who passes nothing on greets as one who has nothing, and is a foreign client to others.
func TestTakerTellsNothing(t *testing.T) {
	h, tor := runHost(t, Foreign, 4, make(chan int, 3))
	if id := h.PeerID(); kindOf(id) != Foreign {
		t.Errorf("%q is %v", id, kindOf(id))
	}
	k := call(t, h, "-LN0200-aaaaaaaaaaaa")
	k.hear(pp.Unchoke) // a bitfield would come before
	k.say(pp.Message{Type: pp.Interested})
	k.say(pp.Message{Type: pp.Unchoke})
	tor.Want(5, 5, true)
	k.hear(pp.Interested)
	for piece := range 3 {
		k.say(pp.Message{Type: pp.Request, Index: pp.Integer(piece), Length: BlockSize})
		k.say(pp.Message{Type: pp.Have, Index: pp.Integer(5 + piece)})
		k.give(2, byte(5+piece)) // what was asked for would come between
	}
	if tor.Sent() != 0 {
		t.Errorf("it has sent %d bytes", tor.Sent())
	}
}
