package swarm_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"

	pp "github.com/anacrolix/torrent/peer_protocol"

	"github.com/luna-hpc/luna/pkg/swarm"
)

// What a bad machine does, as a node or as a foreign client.
const (
	badNoise = "noise" // sends what is no message
	badWrong = "wrong" // has everything, and sends other bytes
	badLiar  = "liar"  // has everything, and sends nothing
)

// villain is a peer that does no good. It calls itself one of our nodes, so that the head believes it.
type villain struct {
	role
	hash   swarm.InfoHash
	pieces int
}

// bad is one until its input ends. It announces itself, takes everybody in and connects to the head.
func (r role) bad(ctx context.Context, lines <-chan string) error {
	torrent, err := os.ReadFile(r.Torrent)
	if err != nil {
		return err
	}
	p := payload{torrent: torrent}
	info, hash, err := p.decode()
	if err != nil {
		return err
	}
	v := villain{role: r, hash: hash, pieces: info.NumPieces()}
	ln, err := r.listenAt()
	if err != nil {
		return err
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go v.meet(ctx, c, nil)
		}
	}()
	for _, head := range r.Heads {
		query := url.Values{"info_hash": {string(hash[:])}, "peer_id": {"-LN0000-000000000000"}, "port": {fmt.Sprint(peerPort)}, "left": {"0"}}
		resp, err := http.Get(fmt.Sprintf("http://%s/announce?%s", netip.AddrPortFrom(head, trackerPort), query.Encode()))
		if err != nil {
			return err
		}
		resp.Body.Close()
		c, err := net.Dial("tcp", netip.AddrPortFrom(head, peerPort).String())
		if err != nil {
			return err
		}
		go v.meet(ctx, c, &hash)
	}
	say(word{Ready: true})
	for range lines {
	}
	return nil
}

// meet does no good to one peer.
func (v villain) meet(ctx context.Context, c net.Conn, hash *swarm.InfoHash) {
	defer c.Close()
	id := [20]byte([]byte("-LN0000-000000000000"))
	_, _ = rand.Read(id[8:])
	if _, err := pp.Handshake(ctx, c, hash, id, pp.PeerExtensionBits{}); err != nil {
		return
	}
	if v.Bad == badNoise {
		noise := make([]byte, 1<<16)
		_, _ = rand.Read(noise)
		binary.BigEndian.PutUint32(noise, 1<<31-1)
		_, _ = c.Write(noise)
		return
	}
	all := make([]bool, v.pieces)
	for i := range all {
		all[i] = true
	}
	_, _ = c.Write(pp.Message{Type: pp.Bitfield, Bitfield: all}.MustMarshalBinary())
	_, _ = c.Write(pp.Message{Type: pp.Unchoke}.MustMarshalBinary())
	d := pp.Decoder{R: bufio.NewReader(c), MaxLength: 1 << 20}
	for {
		var m pp.Message
		if err := d.Decode(&m); err != nil {
			return
		}
		if m.Type == pp.Request && !m.Keepalive && v.Bad == badWrong {
			_, _ = c.Write(pp.Message{Type: pp.Piece, Index: m.Index, Begin: m.Begin, Piece: make([]byte, m.Length)}.MustMarshalBinary())
		}
	}
}
