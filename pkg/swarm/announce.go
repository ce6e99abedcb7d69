package swarm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/anacrolix/torrent/tracker"
	trackerhttp "github.com/anacrolix/torrent/tracker/http"

	"github.com/luna-hpc/luna/pkg/swarm/exchange"
)

const (
	announceTimeout = 10 * time.Second
	leaveTimeout    = 2 * time.Second
	// After a failed announce the next follows soon: a head that was away must find its nodes again.
	announceRetry    = 3 * time.Second
	announceRetryMax = 15 * time.Second
	minInterval      = time.Second
	maxInterval      = 30 * time.Minute
)

// announcer tells one tracker about one torrent for as long as it runs.
type announcer struct {
	url      string
	local    netip.Addr
	hash     InfoHash
	host     *exchange.Host
	torrent  *exchange.Torrent
	counts   func() (up, down, left int64)
	complete <-chan struct{} // closed when the torrent is complete; nil for never
	failed   func(error)     // may be nil
	log      *slog.Logger
}

// run announces until ctx ends, then says goodbye.
func (a *announcer) run(ctx context.Context) error {
	u, err := url.Parse(a.url)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("tracker %q is not an http URL", a.url)
	}
	cl := trackerhttp.NewClient(u, trackerhttp.NewClientOpts{DialContext: dialFrom(a.local).DialContext})
	defer cl.Close()
	event, complete, retry := tracker.Started, a.complete, announceRetry
	if _, _, left := a.counts(); left == 0 {
		complete = nil // it did not become complete here
	}
	for ctx.Err() == nil {
		wait, err := a.announce(ctx, cl, event)
		switch {
		case err == nil:
			event, retry = tracker.None, announceRetry
		case ctx.Err() == nil:
			if retry == announceRetry { // the first of a row
				a.trouble(err)
			}
			wait, retry = retry, min(2*retry, announceRetryMax)
		}
		select {
		// Those who came together do not all announce together again.
		case <-time.After(wait + rand.N(wait/5+1)):
		case <-complete:
			complete = nil
			if event == tracker.None {
				event = tracker.Completed
			}
		case <-ctx.Done():
		}
	}
	a.leave(ctx, cl)
	return nil
}

// trouble tells of an error once.
func (a *announcer) trouble(err error) {
	if a.failed != nil {
		a.failed(err)
		return
	}
	a.log.Info("tracker does not answer", "tracker", a.url, "err", err)
}

// announce sends one event, gives the torrent the peers of the answer and returns when the next is due.
func (a *announcer) announce(ctx context.Context, cl trackerhttp.Client, event tracker.AnnounceEvent) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	resp, err := cl.Announce(ctx, a.request(event), trackerhttp.AnnounceOpt{})
	if err != nil {
		if ue := (*url.Error)(nil); errors.As(err, &ue) {
			err = ue.Err // its URL is long
		}
		return 0, fmt.Errorf("announce to %s: %w", a.url, err)
	}
	a.torrent.AddPeers(a.url, addressesOf(resp.Peers))
	a.torrent.Crowd(int(resp.Leechers))
	return min(max(time.Duration(resp.Interval)*time.Second, minInterval), maxInterval), nil
}

func (a *announcer) leave(ctx context.Context, cl trackerhttp.Client) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	if _, err := cl.Announce(ctx, a.request(tracker.Stopped), trackerhttp.AnnounceOpt{}); err != nil {
		a.log.Debug("tracker was not told of leaving", "tracker", a.url, "err", err)
	}
}

func (a *announcer) request(event tracker.AnnounceEvent) tracker.AnnounceRequest {
	up, down, left := a.counts()
	return tracker.AnnounceRequest{
		InfoHash: a.hash, PeerId: a.host.PeerID(), Port: a.host.Port(),
		Uploaded: up, Downloaded: down, Left: left, Event: event, NumWant: -1,
	}
}

func addressesOf(list []trackerhttp.Peer) []netip.AddrPort {
	addrs := make([]netip.AddrPort, 0, len(list))
	for _, p := range list {
		if addr, ok := netip.AddrFromSlice(p.IP); ok && p.Port > 0 && p.Port <= 65535 {
			addrs = append(addrs, netip.AddrPortFrom(addr.Unmap(), uint16(p.Port)))
		}
	}
	return addrs
}

// dialFrom returns a dialer with a source address; none when local is not set.
func dialFrom(local netip.Addr) *net.Dialer {
	if !local.IsValid() || local.IsUnspecified() {
		return &net.Dialer{}
	}
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: local.AsSlice()}}
}

// announceAll runs an announcer for each tracker and waits for them.
func announceAll(ctx context.Context, urls []string, one announcer) {
	var wg sync.WaitGroup
	for _, u := range urls {
		a := one
		a.url = u
		wg.Go(func() {
			if err := a.run(ctx); err != nil {
				a.trouble(err)
			}
		})
	}
	wg.Wait()
}
