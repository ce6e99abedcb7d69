package swarm

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
)

// event is what an announce says besides that the peer is there.
type event string

const (
	started   event = "started"
	stopped   event = "stopped"
	completed event = "completed"
)

// announceQuery is one announce (BEP 3, 23).
type announceQuery struct {
	infoHash InfoHash
	peerID   [20]byte
	port     uint16
	left     int64 // bytes; -1 is not told
	event    event
	numWant  int // -1 is not told
	// dictionary asks for peers as dictionaries, withID with their ids.
	dictionary, withID bool
}

// parseAnnounce reads the query of an announce. The parameters ip, ipv4 and ipv6 are passed over:
// a peer is where its connection comes from.
func parseAnnounce(raw string) (announceQuery, error) {
	v, err := parseQuery(raw)
	if err != nil {
		return announceQuery{}, err
	}
	q := announceQuery{left: -1, numWant: -1, withID: v.Get("no_peer_id") != "1", dictionary: v.Get("compact") == "0"}
	if q.infoHash, err = hash20("info_hash", v.Get("info_hash")); err != nil {
		return announceQuery{}, err
	}
	id, err := hash20("peer_id", v.Get("peer_id"))
	if err != nil {
		return announceQuery{}, err
	}
	q.peerID = id
	port, err := strconv.ParseUint(v.Get("port"), 10, 16)
	if err != nil || port == 0 {
		return announceQuery{}, fmt.Errorf("port %q is not a port", v.Get("port"))
	}
	q.port = uint16(port)
	switch q.event = event(v.Get("event")); q.event {
	case started, stopped, completed, "":
	default:
		q.event = "" // BEP 21 has "paused"; others may come
	}
	if left, err := strconv.ParseInt(v.Get("left"), 10, 64); err == nil && left >= 0 {
		q.left = left
	}
	if n, err := strconv.Atoi(v.Get("numwant")); err == nil && n >= 0 {
		q.numWant = n
	}
	return q, nil
}

// parseScrape reads the query of a scrape (BEP 48): the info hashes asked for, none for all.
func parseScrape(raw string) ([]InfoHash, error) {
	v, err := parseQuery(raw)
	if err != nil {
		return nil, err
	}
	if len(v["info_hash"]) > maxScrape {
		return nil, fmt.Errorf("more than %d torrents at once", maxScrape)
	}
	var hashes []InfoHash
	for _, s := range v["info_hash"] {
		h, err := hash20("info_hash", s)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, h)
	}
	return hashes, nil
}

func parseQuery(raw string) (url.Values, error) {
	if len(raw) > maxQuery {
		return nil, fmt.Errorf("query of more than %d bytes", maxQuery)
	}
	v, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errors.New("query is not well formed")
	}
	return v, nil
}

func hash20(name, s string) (InfoHash, error) {
	if len(s) != len(InfoHash{}) {
		return InfoHash{}, fmt.Errorf("%s has %d bytes, not 20", name, len(s))
	}
	return InfoHash([]byte(s)), nil
}
