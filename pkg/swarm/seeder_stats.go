package swarm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/luna-hpc/luna/pkg/swarm/exchange"
)

var (
	// ErrDamaged says that a segment's file is not what it should be.
	ErrDamaged = errors.New("segment is damaged")
	// ErrUnchecked says that a segment's file was not hashed yet.
	ErrUnchecked = errors.New("segment was not checked yet")
)

// SeededTorrent is what a seeder does for one torrent.
type SeededTorrent struct {
	InfoHash InfoHash
	// Sent is bytes of pieces sent to peers since the torrent was taken in.
	Sent int64
	// Peers is how many are connected.
	Peers int
	// Size and Offered are bytes of the torrent, and of those pieces that were found right.
	Size, Offered int64
}

// Torrents returns what the seeder does, sorted by info hash.
func (s *Seeder) Torrents() []SeededTorrent {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]SeededTorrent, 0, len(s.torrents))
	for hash, t := range s.torrents {
		list = append(list, SeededTorrent{InfoHash: hash, Sent: t.torrent.Sent(), Peers: t.torrent.Peers(),
			Size: t.store.size(), Offered: t.store.completed()})
	}
	slices.SortFunc(list, func(a, b SeededTorrent) int { return compareHashes(a.InfoHash, b.InfoHash) })
	return list
}

// Neighbours returns the peers of a torrent that are connected; none when the seeder does not have it.
func (s *Seeder) Neighbours(hash InfoHash) []exchange.Neighbour {
	s.mu.Lock()
	t := s.torrents[hash]
	s.mu.Unlock()
	if t == nil {
		return nil
	}
	return t.torrent.Neighbours()
}

// Open opens a segment that one of the torrents has: fs.ErrNotExist when none has it or its file
// is not there, ErrUnchecked before it was hashed, ErrDamaged when pieces of it were found wrong.
func (s *Seeder) Open(hex string) (*os.File, error) {
	t, seg := s.holder(hex)
	if t == nil {
		return nil, fmt.Errorf("segment %q is in no torrent: %w", hex, fs.ErrNotExist)
	}
	if !t.store.isSealed(seg) {
		return nil, fmt.Errorf("segment %s is not here: %w", hex, fs.ErrNotExist)
	}
	switch {
	case t.store.segs[seg].damaged.Load():
		return nil, fmt.Errorf("%s: %w", hex, ErrDamaged)
	case !t.store.whole(seg):
		return nil, fmt.Errorf("%s: %w", hex, ErrUnchecked)
	}
	return t.store.open(seg)
}

// holder returns a torrent that has a segment, one that has it whole if there is one.
func (s *Seeder) holder(hex string) (found *seeded, at int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.torrents {
		for i, seg := range t.store.segments {
			if seg.hex != hex {
				continue
			}
			if t.store.whole(i) {
				return t, i
			}
			found, at = t, i
		}
	}
	return found, at
}
