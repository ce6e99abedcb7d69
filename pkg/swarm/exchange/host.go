package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/anacrolix/torrent/metainfo"
	pp "github.com/anacrolix/torrent/peer_protocol"
	"golang.org/x/time/rate"
)

const (
	served           = 4 // peers at a time
	servePatience    = 2 * time.Second
	handshakeTimeout = 10 * time.Second
	maxGreeting      = 256 // connections that came and have not said what they want
	acceptPause      = 50 * time.Millisecond
)

// Config says what a host is.
type Config struct {
	// Kind is what others see in the host; a Foreign one passes nothing on.
	Kind Kind
	// Listen is the port of peers; the zero address is all addresses. It is dialled from there, too.
	Listen netip.AddrPort
	// Limit is how many bytes of pieces are sent a second, to all peers together; nil is no limit. Its burst
	// must be MinBurst or more.
	Limit *rate.Limiter
	Log   *slog.Logger
	// wires connect hosts; nil is TCP.
	wires wires
}

// wires are what connects hosts.
type wires interface {
	listen(at netip.AddrPort) (net.Listener, error)
	dial(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error)
}

// MinBurst is how many bytes are sent at once.
const MinBurst = serveBlocks * BlockSize

// Host exchanges many torrents on one port.
type Host struct {
	cfg    Config
	id     [20]byte
	ln     net.Listener
	line   *line[*peer]
	ctx    context.Context // of all that works for it
	cancel context.CancelFunc
	work   sync.WaitGroup
	greet  chan struct{} // room for connections that have not said what they want

	mu       sync.Mutex
	torrents map[metainfo.Hash]*Torrent
}

// Listen opens the port of a host. Peers are let in once Run runs.
func Listen(cfg Config) (*Host, error) {
	if cfg.wires == nil {
		cfg.wires = tcp{}
	}
	ln, err := cfg.wires.listen(cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for peers on port %d: %w", cfg.Listen.Port(), err)
	}
	h := &Host{cfg: cfg, id: NewPeerID(cfg.Kind), ln: ln, line: newLine[*peer](served, servePatience),
		greet: make(chan struct{}, maxGreeting), torrents: map[metainfo.Hash]*Torrent{}}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h, nil
}

// Port returns the port that peers connect to.
func (h *Host) Port() uint16 { return uint16(h.ln.Addr().(*net.TCPAddr).Port) }

// PeerID returns the id that the host has among peers (BEP 3).
func (h *Host) PeerID() [20]byte { return h.id }

// Run lets peers in until ctx ends, then drops all torrents and closes the port.
func (h *Host) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, h.cancel)
	defer stop()
	h.work.Go(func() { h.accept(h.ctx) })
	h.work.Go(func() { h.sweep(h.ctx) })
	<-h.ctx.Done()
	return h.Close()
}

// Close drops all torrents, closes the port and waits for all that works.
func (h *Host) Close() error {
	h.cancel()
	err := h.ln.Close()
	h.mu.Lock()
	var all []*Torrent
	for _, t := range h.torrents {
		all = append(all, t)
	}
	h.mu.Unlock()
	for _, t := range all {
		t.Drop()
	}
	h.work.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// accept lets peers in.
func (h *Host) accept(ctx context.Context) {
	for ctx.Err() == nil {
		c, err := h.ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			h.cfg.Log.Warn("peers cannot connect", "err", err)
			select {
			case <-time.After(acceptPause):
			case <-ctx.Done():
			}
			continue
		}
		select {
		case h.greet <- struct{}{}:
			h.work.Go(func() { h.welcome(c) })
		default:
			_ = c.Close() // too many at once
		}
	}
}

// welcome hears which torrent a peer wants.
func (h *Host) welcome(c net.Conn) {
	stop := context.AfterFunc(h.ctx, func() { _ = c.Close() })
	defer stop()
	res, err := h.handshake(c, nil)
	<-h.greet
	h.mu.Lock()
	t := h.torrents[res.Hash]
	h.mu.Unlock()
	if err != nil || t == nil {
		_ = c.Close()
		return
	}
	t.meet(c, res.PeerID, netip.AddrPort{})
}

// handshake says who we are and hears who is there. With a nil hash the peer names the torrent first.
func (h *Host) handshake(c net.Conn, hash *metainfo.Hash) (pp.HandshakeResult, error) {
	if err := c.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return pp.HandshakeResult{}, err
	}
	sock := struct {
		io.Reader
		io.Writer
	}{c, c}
	if hash == nil {
		// Who wants to talk in cipher first must see the connection close without a word of ours:
		// then it tries again in the clear.
		begin := make([]byte, len(pp.Protocol))
		if _, err := io.ReadFull(c, begin); err != nil || string(begin) != pp.Protocol {
			return pp.HandshakeResult{}, errors.Join(err, errors.New("it does not speak BEP 3"))
		}
		sock.Reader = io.MultiReader(bytes.NewReader(begin), c)
	}
	res, err := pp.Handshake(h.ctx, sock, hash, h.id, pp.PeerExtensionBits{})
	if err != nil {
		return res, err
	}
	return res, c.SetDeadline(time.Time{})
}

// dial connects to a peer of a torrent.
func (h *Host) dial(ctx context.Context, hash metainfo.Hash, at netip.AddrPort) (net.Conn, [20]byte, error) {
	c, err := h.cfg.wires.dial(ctx, h.cfg.Listen.Addr(), at)
	if err != nil {
		return nil, [20]byte{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	res, err := h.handshake(c, &hash)
	stop()
	if err == nil && res.Hash != hash {
		err = fmt.Errorf("it has torrent %s", res.Hash)
	}
	if err != nil {
		return nil, [20]byte{}, errors.Join(err, c.Close())
	}
	return c, res.PeerID, nil
}

// sweep takes the turn from those who do not take what they asked for.
func (h *Host) sweep(ctx context.Context) {
	tick := time.NewTicker(servePatience / 4)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			wake(h.line.sweep(now))
		case <-ctx.Done():
			return
		}
	}
}
