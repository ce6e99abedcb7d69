package swarm_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"

	"github.com/luna-hpc/luna/pkg/swarm"
)

const pieceLength = 64 << 10

// payload is a release as a seeder sees it.
type payload struct {
	dir      string // the payload directory
	torrent  []byte
	hash     swarm.InfoHash
	segments []string // names
	size     int64
}

// newPayload makes segments of the given numbers of pieces. The same seed gives the same segments.
func newPayload(t testing.TB, dir string, seed uint64, pieces ...int) payload {
	t.Helper()
	return newPayloadOf(t, dir, pieceLength, seed, pieces...)
}

// newPayloadOf makes one of pieces of another length.
func newPayloadOf(t testing.TB, dir string, pieceLength int, seed uint64, pieces ...int) payload {
	t.Helper()
	p := payload{dir: dir}
	info := metainfo.Info{Name: "luna", PieceLength: int64(pieceLength)}
	var all bytes.Buffer
	src := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	for _, n := range pieces {
		data := make([]byte, n*pieceLength)
		_, _ = src.Read(data) // never fails
		sum := sha256.Sum256(data)
		name := hex.EncodeToString(sum[:])
		write(t, filepath.Join(dir, name), data)
		info.Files = append(info.Files, metainfo.FileInfo{Path: []string{name}, Length: int64(len(data))})
		p.segments = append(p.segments, name)
		all.Write(data)
	}
	p.size = int64(all.Len())
	var err error
	if info.Pieces, err = metainfo.GeneratePieces(&all, int64(pieceLength), nil); err != nil {
		t.Fatal(err)
	}
	infoBytes := marshal(t, info)
	p.torrent = marshal(t, metainfo.MetaInfo{InfoBytes: infoBytes})
	p.hash = metainfo.HashBytes(infoBytes)
	return p
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	data, err := bencode.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// spoil changes one byte of a piece, and with it the file's time.
func (p payload) spoil(t testing.TB, segment, piece int) {
	t.Helper()
	path := filepath.Join(p.dir, p.segments[segment])
	data := read(t, path)
	data[piece*pieceLength+17] ^= 1
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, path, data)
}

// arrived fails unless every segment is in dir, byte for byte.
func (p payload) arrived(t testing.TB, dir string) {
	t.Helper()
	for _, name := range p.segments {
		sum := sha256.Sum256(read(t, filepath.Join(dir, name)))
		if got := hex.EncodeToString(sum[:]); got != name {
			t.Errorf("segment %s has SHA-256 %s", name, got)
		}
	}
}

// announcingTo returns the torrent file as it is served.
func (p payload) announcingTo(t testing.TB, url string) []byte {
	t.Helper()
	data, err := swarm.WithTrackers(p.torrent, url)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func quietLog() *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.NewTextHandler(io.Discard, nil))
}
