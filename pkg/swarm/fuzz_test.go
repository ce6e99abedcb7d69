package swarm

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"
)

func FuzzAnnounceQuery(f *testing.F) {
	f.Add("info_hash=%00%01234567890123456789&peer_id=-XX0001-000000000000&port=6881&left=0&event=started&compact=1&numwant=5")
	f.Add("info_hash=abcdefghijklmnopqrst&peer_id=abcdefghijklmnopqrst&port=65535&event=paused&compact=0&no_peer_id=1&ip=::1")
	f.Add("info_hash=%zz&;&=&&")
	tr := NewTracker(TrackerConfig{Now: func() time.Time { return time.Unix(1e9, 0) }, Head: Head{Port: 1}})
	from, local := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := parseAnnounce(raw)
		if err != nil {
			return
		}
		if q.port == 0 || q.left < -1 || q.numWant < -1 {
			t.Fatalf("%q gives %+v", raw, q)
		}
		tr.SetTorrents([]InfoHash{q.infoHash})
		reply, err := tr.announce(q, from, local)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bencode.Marshal(reply); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzScrapeQuery(f *testing.F) {
	f.Add("info_hash=abcdefghijklmnopqrst&info_hash=%00bcdefghijklmnopqrst")
	f.Fuzz(func(t *testing.T, raw string) {
		hashes, err := parseScrape(raw)
		if err == nil && len(hashes) > maxScrape {
			t.Fatalf("%d hashes", len(hashes))
		}
	})
}

func FuzzTorrent(f *testing.F) {
	seed := func(name string, length int64) {
		info, err := bencode.Marshal(metainfo.Info{Name: "luna", PieceLength: 16384, Pieces: make([]byte, 40),
			Files: []metainfo.FileInfo{{Path: []string{name}, Length: length}}})
		if err != nil {
			f.Fatal(err)
		}
		data, err := bencode.Marshal(metainfo.MetaInfo{InfoBytes: info, Announce: "http://10.0.0.1:7051/announce"})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	seed(strings.Repeat("0", 64), 32768)
	seed("../../etc/passwd", 32768)
	seed(strings.Repeat("f", 64), 1<<62)
	f.Fuzz(func(t *testing.T, data []byte) {
		_, l, err := parseTorrent(data)
		if err != nil {
			return
		}
		pieces := 0
		for i, s := range l.segments {
			if !isHex(s.hex) || s.first != pieces || s.count < 1 || l.find(s.first) != i || l.find(s.first+s.count-1) != i {
				t.Fatalf("segment %d is %+v", i, s)
			}
			pieces += s.count
		}
		if pieces != l.pieces() {
			t.Fatalf("%d pieces in segments, %d in the torrent", pieces, l.pieces())
		}
	})
}
