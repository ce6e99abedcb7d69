package swarm

import (
	"bytes"
	"fmt"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"
)

// MaxTorrent is the largest torrent file that is read, in bytes.
const MaxTorrent = 32 << 20

// loadMetainfo decodes a torrent file, of at most MaxTorrent bytes.
func loadMetainfo(data []byte) (*metainfo.MetaInfo, error) {
	if len(data) > MaxTorrent {
		return nil, fmt.Errorf("read torrent: %d bytes are more than %d", len(data), MaxTorrent)
	}
	mi, err := metainfo.Load(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("read torrent: %w", err)
	}
	return mi, nil
}

// Segments returns the info hash and the names (64 hex digits) of the segments of a torrent file,
// or an error when its files are anything but segments of whole pieces.
func Segments(torrent []byte) (InfoHash, []string, error) {
	_, l, err := parseTorrent(torrent)
	if err != nil {
		return InfoHash{}, nil, err
	}
	names := make([]string, len(l.segments))
	for i, s := range l.segments {
		names[i] = s.hex
	}
	return l.hash, names, nil
}

// WithTrackers returns a torrent file that announces to the given trackers: the first as its
// announce, each as a tier of its own when there are several (BEP 12). The info hash stays.
func WithTrackers(torrent []byte, trackers ...string) ([]byte, error) {
	mi, err := loadMetainfo(torrent)
	if err != nil {
		return nil, err
	}
	mi.Announce, mi.AnnounceList = "", nil
	if len(trackers) > 0 {
		mi.Announce = trackers[0]
	}
	if len(trackers) > 1 {
		for _, t := range trackers {
			mi.AnnounceList = append(mi.AnnounceList, []string{t})
		}
	}
	data, err := bencode.Marshal(mi)
	if err != nil {
		return nil, fmt.Errorf("write torrent: %w", err)
	}
	return data, nil
}

// trackers returns every tracker that a torrent file names, once each.
func trackers(mi *metainfo.MetaInfo) []string {
	var all []string
	seen := map[string]bool{"": true}
	for _, tier := range mi.UpvertedAnnounceList() {
		for _, url := range tier {
			if !seen[url] {
				seen[url] = true
				all = append(all, url)
			}
		}
	}
	return all
}
