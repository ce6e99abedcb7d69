// Package swarm passes the segments of image releases from a head to its nodes, and from node to node.
package swarm

import (
	"crypto/sha1"
	"fmt"
	"strings"

	"github.com/anacrolix/torrent/metainfo"

	"github.com/luna-hpc/luna/pkg/swarm/exchange"
)

// InfoHash names a torrent: the SHA-1 of its info dictionary (BEP 3).
type InfoHash = metainfo.Hash

// layout is where the pieces of a torrent lie: each in exactly one segment.
type layout struct {
	hash        InfoHash
	info        *metainfo.Info
	pieceLength int64
	segments    []segment
}

// segment is one file of a torrent, named by its digest.
type segment struct {
	hex   string
	size  int64
	first int // index of its first piece
	count int // pieces
}

// parseTorrent reads a torrent file whose files are segments. It refuses any other: what a
// torrent names is opened below the payload directory, so nothing but 64 hex digits may pass.
func parseTorrent(data []byte) (*metainfo.MetaInfo, *layout, error) {
	mi, err := loadMetainfo(data)
	if err != nil {
		return nil, nil, err
	}
	info, err := mi.UnmarshalInfo()
	if err != nil {
		return nil, nil, fmt.Errorf("read torrent: info: %w", err)
	}
	l := &layout{hash: mi.HashInfoBytes(), info: &info, pieceLength: info.PieceLength}
	if err := l.cut(); err != nil {
		return nil, nil, fmt.Errorf("read torrent %s: %w", l.hash, err)
	}
	return mi, l, nil
}

// cut checks the info dictionary and divides its pieces over the segments.
func (l *layout) cut() error {
	switch {
	case l.info.HasV2() || !l.info.HasV1():
		return fmt.Errorf("is not a version 1 torrent")
	case len(l.info.Files) == 0:
		return fmt.Errorf("has no segments")
	case l.pieceLength < 16<<10 || l.pieceLength&(l.pieceLength-1) != 0:
		return fmt.Errorf("piece length %d is not a power of two from 16384", l.pieceLength)
	case l.pieceLength > exchange.MaxPieceLength:
		return fmt.Errorf("piece length %d is more than %d", l.pieceLength, exchange.MaxPieceLength)
	}
	seen := map[string]bool{}
	var pieces int
	for i, f := range l.info.Files {
		if len(f.Path) != 1 || !isHex(f.Path[0]) || seen[f.Path[0]] {
			return fmt.Errorf("file %d: %q is not the name of a segment", i, strings.Join(f.Path, "/"))
		}
		if f.Length <= 0 || f.Length%l.pieceLength != 0 {
			return fmt.Errorf("segment %s: %d bytes are not whole pieces of %d", f.Path[0], f.Length, l.pieceLength)
		}
		seen[f.Path[0]] = true
		n := int(f.Length / l.pieceLength)
		if n > l.pieces()-pieces {
			return fmt.Errorf("has hashes of %d pieces, needs more", l.pieces())
		}
		l.segments = append(l.segments, segment{hex: f.Path[0], size: f.Length, first: pieces, count: n})
		pieces += n
	}
	if len(l.info.Pieces) != pieces*sha1.Size {
		return fmt.Errorf("has %d bytes of hashes, needs %d", len(l.info.Pieces), pieces*sha1.Size)
	}
	return nil
}

// isHex tells whether name is the lower-case hex form of a SHA-256.
func isHex(name string) bool {
	return len(name) == 64 && strings.Trim(name, "0123456789abcdef") == ""
}

// pieces returns how many pieces the torrent has.
func (l *layout) pieces() int { return len(l.info.Pieces) / sha1.Size }

// size returns the bytes of all segments.
func (l *layout) size() int64 { return int64(l.pieces()) * l.pieceLength }

// sum returns the SHA-1 that a piece must have.
func (l *layout) sum(piece int) [sha1.Size]byte {
	return [sha1.Size]byte(l.info.Pieces[piece*sha1.Size:])
}

// sums returns the hashes of a segment's pieces, one after the other.
func (l *layout) sums(s segment) []byte {
	return l.info.Pieces[s.first*sha1.Size : (s.first+s.count)*sha1.Size]
}

// find returns the number of the segment that holds a piece.
func (l *layout) find(piece int) int {
	low, high := 0, len(l.segments)-1
	for low < high {
		mid := (low + high + 1) / 2
		if l.segments[mid].first <= piece {
			low = mid
		} else {
			high = mid - 1
		}
	}
	return low
}

// offset returns where a piece begins in its segment, in bytes.
func (l *layout) offset(piece int) int64 {
	return int64(piece-l.segments[l.find(piece)].first) * l.pieceLength
}
