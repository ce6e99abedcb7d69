package swarm

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/anacrolix/torrent"
	pp "github.com/anacrolix/torrent/peer_protocol"
	"golang.org/x/time/rate"
)

// pipeline is how many requests of 16 KiB wait at one peer. The library's 1,024 make pieces end
// late, so that they can be passed on late.
const pipeline = 8

// wakeUp is how long a connection may be silent before a keep-alive. The library's writer of a
// connection can miss that there is something to say, and then sleeps until its next keep-alive.
const wakeUp = time.Second

// limits of one client of the library.
type limits struct {
	peers     int        // connections a torrent
	dials     rate.Limit // outgoing connections a second
	halfOpen  int        // outgoing connections being made
	pieceJobs int        // pieces hashed at a time
}

// newClient starts the library without what looks for the world outside: no DHT, no port
// forwarding, no uTP, no peer exchange, no WebRTC, no web seeds, no trackers of its own.
func newClient(listen netip.AddrPort, lim limits, cb torrent.Callbacks, log *slog.Logger) (*torrent.Client, error) {
	cfg := torrent.NewDefaultClientConfig()
	cfg.NoDHT = true
	cfg.NoDefaultPortForwarding = true
	cfg.DisableUTP = true
	cfg.DisablePEX = true
	cfg.DisableWebtorrent = true
	cfg.DisableWebseeds = true
	cfg.DisableTrackers = true
	cfg.DefaultStorage = noStorage{}
	cfg.Seed = true
	cfg.DropDuplicatePeerIds = true
	cfg.HeaderObfuscationPolicy = torrent.HeaderObfuscationPolicy{} // accepted, not sought: it costs a cipher
	cfg.EstablishedConnsPerTorrent = lim.peers
	cfg.HalfOpenConnsPerTorrent = lim.halfOpen
	cfg.TotalHalfOpenConns = lim.halfOpen
	cfg.DialRateLimiter = rate.NewLimiter(lim.dials, int(lim.dials))
	cfg.PieceHashersPerTorrent = lim.pieceJobs
	cfg.KeepAliveTimeout = wakeUp
	cfg.MaxUnverifiedBytes = 0 // what is wanted is chosen by window
	cfg.Slogger = slog.New(quiet{log.Handler()})
	cfg.Callbacks = cb
	cfg.Callbacks.ReadExtendedHandshake = clampPipeline
	cfg.ListenPort = int(listen.Port())
	bindTo(cfg, listen.Addr())
	cl, err := torrent.NewClient(cfg)
	if err != nil {
		return nil, fmt.Errorf("listen for peers on port %d: %w", listen.Port(), err)
	}
	if local := listen.Addr(); local.IsValid() && !local.IsUnspecified() {
		cl.AddDialer(torrent.NetworkDialer{Network: "tcp", Dialer: dialFrom(local)})
	}
	return cl, nil
}

// bindTo makes the client listen on one address, and dial from there; on all when there is none.
func bindTo(cfg *torrent.ClientConfig, local netip.Addr) {
	if !local.IsValid() || local.IsUnspecified() {
		return
	}
	cfg.ListenHost = func(string) string { return local.String() }
	cfg.DisableIPv4 = !local.Is4()
	cfg.DisableIPv4Peers = !local.Is4()
	cfg.DisableIPv6 = local.Is4()
	cfg.DialForPeerConns = false // newClient adds a dialer with that source address
}

// dialFrom returns a dialer with a source address; none when local is not set.
func dialFrom(local netip.Addr) *net.Dialer {
	if !local.IsValid() || local.IsUnspecified() {
		return &net.Dialer{}
	}
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: local.AsSlice()}}
}

func clampPipeline(_ *torrent.PeerConn, m *pp.ExtendedHandshakeMessage) {
	if m.Reqq == 0 || m.Reqq > pipeline {
		m.Reqq = pipeline
	}
}
