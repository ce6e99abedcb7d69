package bench

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"

	"github.com/luna-hpc/luna/pkg/swarm"
)

// payload is a release's payload as a head has it: three segments in a folder, and one file of all for those who
// send only one.
type payload struct {
	dir     string // has the folder "luna" and the file "whole"
	names   []string
	size    int64
	torrent []byte
}

// newPayload makes one of random bytes.
func newPayload(dir string, pieceLength, pieces int) (*payload, error) {
	p := &payload{dir: dir}
	if err := os.MkdirAll(p.segments(), 0o755); err != nil {
		return nil, err
	}
	info := metainfo.Info{Name: "luna", PieceLength: int64(pieceLength)}
	var all bytes.Buffer
	random := rand.NewChaCha8([32]byte{1})
	for _, n := range []int{pieces / 3, pieces / 3, pieces - 2*(pieces/3)} {
		data := make([]byte, n*pieceLength)
		_, _ = random.Read(data) // never fails
		sum := sha256.Sum256(data)
		name := hex.EncodeToString(sum[:])
		if err := os.WriteFile(filepath.Join(p.segments(), name), data, 0o644); err != nil {
			return nil, err
		}
		info.Files = append(info.Files, metainfo.FileInfo{Path: []string{name}, Length: int64(len(data))})
		p.names = append(p.names, name)
		all.Write(data)
	}
	p.size = int64(all.Len())
	if err := os.WriteFile(filepath.Join(dir, "whole"), all.Bytes(), 0o644); err != nil {
		return nil, err
	}
	return p, p.describe(info, &all, pieceLength)
}

func (p *payload) describe(info metainfo.Info, all *bytes.Buffer, pieceLength int) (err error) {
	if info.Pieces, err = metainfo.GeneratePieces(all, int64(pieceLength), nil); err != nil {
		return err
	}
	data, err := bencode.Marshal(info)
	if err != nil {
		return err
	}
	data, err = bencode.Marshal(metainfo.MetaInfo{InfoBytes: data})
	if err != nil {
		return err
	}
	if p.torrent, err = swarm.WithTrackers(data, fmt.Sprintf("http://%s:%d/announce", swarmHead, trackerPort)); err != nil {
		return err
	}
	return os.WriteFile(p.torrentFile(), p.torrent, 0o644)
}

func (p *payload) segments() string    { return filepath.Join(p.dir, "luna") }
func (p *payload) torrentFile() string { return filepath.Join(p.dir, "luna.torrent") }

// arrived is an error unless a node has every segment in a folder, or all in one file, byte for byte.
func (p *payload) arrived(dir string) error {
	whole, err := os.ReadFile(filepath.Join(dir, "whole"))
	if err == nil {
		return same(whole, filepath.Join(p.dir, "whole"), dir)
	}
	for _, name := range p.names {
		data, err := readEither(filepath.Join(dir, name), filepath.Join(dir, "luna", name))
		if err != nil {
			return err
		}
		if err := same(data, filepath.Join(p.segments(), name), dir); err != nil {
			return err
		}
	}
	return nil
}

func same(got []byte, file, at string) error {
	want, err := os.ReadFile(file)
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("%s: %s has other bytes", at, filepath.Base(file))
	}
	return err
}

func readEither(a, b string) ([]byte, error) {
	data, err := os.ReadFile(a)
	if os.IsNotExist(err) {
		data, err = os.ReadFile(b)
	}
	return data, err
}
