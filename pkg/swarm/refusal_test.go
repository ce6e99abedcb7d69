package swarm_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"

	"github.com/luna-hpc/luna/pkg/swarm"
)

// misnamed gives the only segment of a payload another name, in the torrent and on disk.
func (p payload) misnamed(t testing.TB) payload {
	t.Helper()
	name := strings.Repeat("ab", 32)
	if err := os.Rename(filepath.Join(p.dir, p.segments[0]), filepath.Join(p.dir, name)); err != nil {
		t.Fatal(err)
	}
	p.change(t, func(info *metainfo.Info) { info.Files[0].Path = []string{name} })
	p.segments = []string{name}
	_, hash := p.info(t)
	p.hash = hash
	return p
}

func (p *payload) info(t testing.TB) (metainfo.Info, swarm.InfoHash) {
	t.Helper()
	info, hash, err := p.decode()
	if err != nil {
		t.Fatal(err)
	}
	return info, hash
}

func (p *payload) decode() (info metainfo.Info, hash swarm.InfoHash, err error) {
	var mi metainfo.MetaInfo
	if err := bencode.Unmarshal(p.torrent, &mi); err != nil {
		return info, hash, err
	}
	info, err = mi.UnmarshalInfo()
	return info, mi.HashInfoBytes(), err
}

// change makes another torrent of the same pieces.
func (p *payload) change(t testing.TB, do func(*metainfo.Info)) {
	t.Helper()
	info, _ := p.info(t)
	do(&info)
	p.torrent = marshal(t, metainfo.MetaInfo{InfoBytes: marshal(t, info)})
}

func TestSegmentWithAnotherDigestIsNeverDone(t *testing.T) {
	dir := t.TempDir()
	p := newPayload(t, dir, 40, 6).misnamed(t)
	h := newHead(t, dir, p)
	n := h.boot(t, "127.0.0.2", p)
	eventually(t, func() bool { return n.Stats().LastError != "" })
	err := n.ended(t)
	if err == nil {
		t.Fatal("the download has no error")
	}
	mustContain(t, err.Error(), p.segments[0], "SHA-256")
	if _, err := os.Stat(filepath.Join(n.dir, p.segments[0])); err == nil {
		t.Error("the segment has its name")
	}
	if len(n.done) != 0 {
		t.Errorf("reported %q", n.done)
	}
}

func TestTakenPeerPortIsAnError(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dir := t.TempDir()
	p := newPayload(t, dir, 41, 1)
	h := newHead(t, dir, p)
	port := int(netip.MustParseAddrPort(ln.Addr().String()).Port())
	n := h.boot(t, "127.0.0.2", p, func(c *swarm.DownloadConfig) { c.ListenPort = port })
	if err := n.ended(t); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("run: %v", err)
	}
}

func TestOnlySegmentsAreTorrents(t *testing.T) {
	dir := t.TempDir()
	good := newPayload(t, dir, 42, 2, 2)
	for name, change := range map[string]func(*metainfo.Info){
		"way out":        func(i *metainfo.Info) { i.Files[0].Path = []string{"..", "etc", "passwd"} },
		"other name":     func(i *metainfo.Info) { i.Files[0].Path = []string{"passwd"} },
		"same twice":     func(i *metainfo.Info) { i.Files[1].Path = i.Files[0].Path },
		"half a piece":   func(i *metainfo.Info) { i.Files[0].Length += pieceLength / 2; i.Files[1].Length -= pieceLength / 2 },
		"nothing in it":  func(i *metainfo.Info) { i.Files[0].Length = 0; i.Files[1].Length *= 2 },
		"too few hashes": func(i *metainfo.Info) { i.Pieces = i.Pieces[20:] },
		"one file":       func(i *metainfo.Info) { i.Files, i.Length = nil, 4*pieceLength },
		"odd pieces":     func(i *metainfo.Info) { i.PieceLength = pieceLength - 1 },
	} {
		p := good
		p.change(t, change)
		if _, _, err := swarm.Segments(p.torrent); err == nil {
			t.Errorf("%s is a torrent", name)
		}
		if _, err := swarm.NewDownloader(swarm.DownloadConfig{Torrent: p.torrent}); err == nil {
			t.Errorf("%s can be downloaded", name)
		}
	}
	if _, _, err := swarm.Segments([]byte("<html>404</html>")); err == nil {
		t.Error("a web page is a torrent")
	}
}

func TestTrackersAreAddedToTorrent(t *testing.T) {
	p := newPayload(t, t.TempDir(), 43, 1)
	for _, c := range []struct {
		trackers []string
		want     [][]string
	}{
		{nil, nil},
		{[]string{"http://a/announce"}, [][]string{{"http://a/announce"}}},
		{[]string{"http://a/announce", "http://b/announce"}, [][]string{{"http://a/announce"}, {"http://b/announce"}}},
	} {
		data, err := swarm.WithTrackers(p.torrent, c.trackers...)
		if err != nil {
			t.Fatal(err)
		}
		var mi metainfo.MetaInfo
		if err := bencode.Unmarshal(data, &mi); err != nil {
			t.Fatal(err)
		}
		if mi.HashInfoBytes() != p.hash {
			t.Error("the info hash changed")
		}
		if got := [][]string(mi.UpvertedAnnounceList()); len(got) != len(c.want) {
			t.Errorf("%q: announces to %q", c.trackers, got)
		}
	}
	if _, err := swarm.WithTrackers([]byte("x"), "http://a/announce"); err == nil || errors.Unwrap(err) == nil {
		t.Errorf("no torrent: %v", err)
	}
}
