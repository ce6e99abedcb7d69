package release

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"
	"golang.org/x/sync/errgroup"
)

// TorrentName is the directory name in every release's torrent.
const TorrentName = "luna"

// Torrent returns the bytes of the release's torrent file (BitTorrent v1, BEP 3) and its info hash. Its files are the
// segments, named by their digest's hex and in the manifest's order. It names no tracker: whoever serves it adds its
// own, which leaves the info hash as it is. Pieces that Pack has hashed are not read again.
func Torrent(m *Manifest, payloadDir string) ([]byte, metainfo.Hash, error) {
	pieces, err := m.hashAll(payloadDir)
	if err != nil {
		return nil, metainfo.Hash{}, fmt.Errorf("make torrent: %w", err)
	}
	info := metainfo.Info{Name: TorrentName, PieceLength: m.PieceLength}
	for i, s := range m.Segments {
		info.Files = append(info.Files, metainfo.FileInfo{Path: []string{s.Digest.Hex()}, Length: s.Size})
		info.Pieces = append(info.Pieces, pieces[i]...)
	}
	var mi metainfo.MetaInfo
	if mi.InfoBytes, err = bencode.Marshal(info); err != nil {
		return nil, metainfo.Hash{}, fmt.Errorf("make torrent: %w", err)
	}
	data, err := bencode.Marshal(mi)
	if err != nil {
		return nil, metainfo.Hash{}, fmt.Errorf("make torrent: %w", err)
	}
	return data, mi.HashInfoBytes(), nil
}

func (m *Manifest) hashAll(payloadDir string) ([][]byte, error) {
	pieces := make([][]byte, len(m.Segments))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, s := range m.Segments {
		if known := m.pieces[s.Digest]; int64(len(known)) == s.Size/m.PieceLength*pieceHash {
			pieces[i] = known
			continue
		}
		g.Go(func() (err error) {
			pieces[i], err = hashFile(filepath.Join(payloadDir, s.Digest.Hex()), s.Size, m.PieceLength)
			return err
		})
	}
	return pieces, g.Wait()
}

func hashFile(path string, size, pieceLength int64) (pieces []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if fi, err := f.Stat(); err != nil {
		return nil, err
	} else if fi.Size() != size {
		return nil, fmt.Errorf("%s has %d bytes, want %d", path, fi.Size(), size)
	}
	return hashPieces(f, size, pieceLength)
}

// hashPieces returns the SHA-1 of each piece of r, one after the other.
func hashPieces(r io.Reader, size, pieceLength int64) ([]byte, error) {
	pieces := make([]byte, 0, size/pieceLength*pieceHash)
	h := sha1.New()
	buf := make([]byte, 128<<10)
	for off := int64(0); off < size; off += pieceLength {
		h.Reset()
		if _, err := io.CopyBuffer(h, struct{ io.Reader }{io.LimitReader(r, pieceLength)}, buf); err != nil {
			return nil, fmt.Errorf("hash pieces: %w", err)
		}
		pieces = h.Sum(pieces)
	}
	return pieces, nil
}
