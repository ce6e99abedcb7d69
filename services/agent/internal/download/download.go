// Package download keeps the payload coming, and passes it on to other nodes, for as long as the initrd runs.
package download

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/luna-hpc/luna/pkg/swarm"
)

// Swarm is the exchange with the head and other nodes. *swarm.Downloader is one.
type Swarm interface {
	Run(ctx context.Context) error
	Stats() swarm.Stats
	Drop(segment string) error
}

// Request asks for a payload.
type Request struct {
	// Torrent is the torrent file.
	Torrent []byte `json:"torrent"`
	// Pieces are the URLs below which the heads have the segments.
	Pieces []string `json:"pieces"`
	// Joined is the name of the file in which all segments shall lie one behind the other; empty for one each.
	Joined string `json:"joined,omitempty"`
	// Window is how many bytes of segments may be there at a time, where there is no memory for all; 0 is all. Each has
	// to be dropped when it was used, and nothing is passed on.
	Window int64 `json:"window,omitempty"`
}

// Event tells how a payload is coming. Each has Stats or a Segment.
type Event struct {
	// Segment is the digest in hex of one that is whole.
	Segment string       `json:"segment,omitempty"`
	Stats   *swarm.Stats `json:"stats,omitempty"`
}

// Keeper owns one payload at a time.
type Keeper struct {
	// Dir is where the segments lie.
	Dir string
	// Open starts an exchange.
	Open func(swarm.DownloadConfig) (Swarm, error)
	// Place prepares Dir for a payload of so many bytes, and Clear takes away
	// Dir with all that is in it. Either may be done again.
	Place func(dir string, size int64) error
	Clear func(dir string) error
	// Tick is how often Follow sends Stats.
	Tick time.Duration
	Log  *slog.Logger

	mu      sync.Mutex
	session *session
}

// session is the exchange of one payload.
type session struct {
	hash   swarm.InfoHash
	asked  Request
	swarm  Swarm
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // valid when ended is closed

	mu       sync.Mutex
	segments []string
	more     chan struct{} // closed when there is another segment
}

// Follow makes the payload come, unless it does already, and sends an Event
// for each segment that is whole, and at times the Stats. It returns when all
// segments were sent. The exchange goes on.
func (k *Keeper) Follow(ctx context.Context, r Request, send func(Event) error) error {
	hash, names, err := swarm.Segments(r.Torrent)
	if err != nil {
		return fmt.Errorf("read the torrent: %w", err)
	}
	s, err := k.take(ctx, hash, r)
	if err != nil {
		return err
	}
	tick := time.NewTicker(k.Tick)
	defer tick.Stop()
	for sent := 0; ; {
		fresh, more := s.from(sent)
		for _, name := range fresh {
			if err := send(Event{Segment: name}); err != nil {
				return err
			}
		}
		sent += len(fresh)
		stats := s.swarm.Stats()
		if err := send(Event{Stats: &stats}); err != nil || sent >= len(names) {
			return err
		}
		select {
		case <-more:
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ended:
			return errors.Join(errors.New("the payload's exchange has ended"), s.err)
		}
	}
}

// take returns the session of a payload: the one that runs, or a new one. Where segments are dropped all come again.
func (k *Keeper) take(ctx context.Context, hash swarm.InfoHash, r Request) (*session, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	anew := r.Window > 0
	if s := k.session; s != nil {
		if s.goesOnFor(r) {
			return s, nil
		}
		k.stop()
		anew = anew || s.hash != hash
	}
	if anew {
		if err := k.Clear(k.Dir); err != nil {
			return nil, fmt.Errorf("drop the payload that is there: %w", err)
		}
	}
	s, err := k.start(ctx, hash, r)
	if err != nil {
		return nil, err
	}
	k.session = s
	return s, nil
}

func (k *Keeper) start(ctx context.Context, hash swarm.InfoHash, r Request) (*session, error) {
	s := &session{hash: hash, asked: r, ended: make(chan struct{}), more: make(chan struct{})}
	var err error
	s.swarm, err = k.Open(swarm.DownloadConfig{
		Dir: k.Dir, Joined: r.Joined, Window: r.Window, Torrent: r.Torrent, HTTPBases: r.Pieces, HeadAddrs: heads(r.Pieces), Log: k.Log, SegmentDone: s.add,
	})
	if err != nil {
		return nil, fmt.Errorf("start the payload's exchange: %w", err)
	}
	if err := os.MkdirAll(k.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a folder for the payload: %w", err)
	}
	if err := k.Place(k.Dir, s.swarm.Stats().Total); err != nil {
		return nil, fmt.Errorf("make room for the payload: %w", err)
	}
	// The exchange outlives the request.
	ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(s.ended)
		s.err = s.swarm.Run(ctx)
	}()
	return s, nil
}

// Drop deletes a segment that was used, of a payload with a window.
func (k *Keeper) Drop(segment string) error {
	k.mu.Lock()
	s := k.session
	k.mu.Unlock()
	if s == nil {
		return errors.New("no payload is here")
	}
	return s.swarm.Drop(segment)
}

// Close ends the exchange and takes the payload away.
func (k *Keeper) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stop()
	return k.Clear(k.Dir)
}

func (k *Keeper) stop() {
	if s := k.session; s != nil {
		s.cancel()
		<-s.ended
		if s.err != nil {
			k.Log.Warn("the payload's exchange ended", "err", s.err)
		}
	}
	k.session = nil
}

// goesOnFor tells whether a request is for what this session has, and keeps.
func (s *session) goesOnFor(r Request) bool {
	same := bytes.Equal(s.asked.Torrent, r.Torrent) && slices.Equal(s.asked.Pieces, r.Pieces) && s.asked.Joined == r.Joined
	return same && s.asked.Window == 0 && r.Window == 0 && !s.over()
}

func (s *session) over() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// add takes another segment.
func (s *session) add(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segments = append(s.segments, name)
	close(s.more)
	s.more = make(chan struct{})
}

// from returns the segments after the first n, and what is closed when there are more.
func (s *session) from(n int) ([]string, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.segments[n:len(s.segments):len(s.segments)], s.more
}

// heads returns the heads' addresses where the URLs have some, so that what comes
// from there counts as the heads'.
func heads(pieces []string) (all []netip.Addr) {
	for _, one := range pieces {
		u, err := url.Parse(one)
		if err != nil {
			continue
		}
		if a, err := netip.ParseAddr(u.Hostname()); err == nil {
			all = append(all, a.Unmap())
		}
	}
	return all
}
