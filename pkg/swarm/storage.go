package swarm

import (
	"context"
	"errors"
	"io"

	"github.com/anacrolix/torrent/metainfo"
	"github.com/anacrolix/torrent/storage"
)

// The library reads and writes pieces through these.
var (
	_ storage.ClientImpl = (*store)(nil)
	_ storage.PieceImpl  = storedPiece{}
	_ io.WriterTo        = storedPiece{}
)

// OpenTorrent gives the library the store's own torrent.
func (s *store) OpenTorrent(context.Context, *metainfo.Info, metainfo.Hash) (storage.TorrentImpl, error) {
	return storage.TorrentImpl{
		Piece: func(p metainfo.Piece) storage.PieceImpl { return storedPiece{s, p.Index()} },
		Close: s.close,
	}, nil
}

// noStorage is the library's default storage: every torrent brings its own.
type noStorage struct{}

// OpenTorrent refuses.
func (noStorage) OpenTorrent(context.Context, *metainfo.Info, metainfo.Hash) (storage.TorrentImpl, error) {
	return storage.TorrentImpl{}, errors.New("torrent without a store")
}

type storedPiece struct {
	store *store
	index int
}

// ReadAt reads from the piece.
func (p storedPiece) ReadAt(b []byte, off int64) (int, error) {
	return p.store.readAt(p.index, b, off)
}

// WriteAt writes what a peer sent.
func (p storedPiece) WriteAt(b []byte, off int64) (int, error) {
	return p.store.writeAt(p.index, b, off)
}

// WriteTo gives the whole piece, to be hashed.
func (p storedPiece) WriteTo(w io.Writer) (int64, error) { return p.store.copyTo(p.index, w) }

// MarkComplete is called when the library has found the piece's hash right.
func (p storedPiece) MarkComplete() error {
	p.store.markDone(p.index)
	if p.store.received != nil {
		p.store.received(p.index)
	}
	return nil
}

// MarkNotComplete is called when the library has found the piece's hash wrong. A piece that was
// replaced by a right one meanwhile stays done, and the library is told so when it asks.
func (p storedPiece) MarkNotComplete() error { return nil }

// Completion tells whether the piece is done. It is always known: what lay there at the start is
// hashed before the library sees it.
func (p storedPiece) Completion() storage.Completion {
	return storage.Completion{Ok: true, Complete: p.store.done[p.index].Load()}
}
