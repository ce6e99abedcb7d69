package swarm

import (
	"net/http"
	"strconv"
	"time"

	"github.com/anacrolix/dht/v2/krpc"
	"github.com/anacrolix/torrent/bencode"
)

// announceReply is the answer to an announce.
type announceReply struct {
	Complete    int `bencode:"complete"`
	Incomplete  int `bencode:"incomplete"`
	Interval    int `bencode:"interval"`
	MinInterval int `bencode:"min interval"`
	// Peers is a string of 6 bytes for each, or a list of dictionaries.
	Peers any `bencode:"peers"`
	// Peers6 is a string of 18 bytes for each (BEP 7).
	Peers6 krpc.CompactIPv6NodeAddrs `bencode:"peers6,omitempty"`
}

type peerDictionary struct {
	IP     string `bencode:"ip"`
	PeerID string `bencode:"peer id,omitempty"`
	Port   int    `bencode:"port"`
}

// reply puts the list into the form that was asked for. The head's seeder counts as complete.
func (t *Tracker) reply(m *members, q announceQuery, list []peer) announceReply {
	r := announceReply{Complete: m.complete, Incomplete: len(m.peers) - m.complete,
		Interval: seconds(t.interval(m)), MinInterval: seconds(t.pace.MinInterval)}
	if t.head.Port != 0 {
		r.Complete++
	}
	if q.dictionary {
		r.Peers = dictionaries(list, q.withID)
		return r
	}
	v4 := krpc.CompactIPv4NodeAddrs{}
	for _, p := range list {
		na := krpc.NodeAddr{IP: p.addr.Addr().AsSlice(), Port: int(p.addr.Port())}
		if p.addr.Addr().Is4() {
			v4 = append(v4, na)
		} else {
			r.Peers6 = append(r.Peers6, na)
		}
	}
	r.Peers = v4
	return r
}

func dictionaries(list []peer, withID bool) []peerDictionary {
	ds := make([]peerDictionary, 0, len(list))
	for _, p := range list {
		d := peerDictionary{IP: p.addr.Addr().String(), Port: int(p.addr.Port())}
		if withID && p.id != [20]byte{} {
			d.PeerID = string(p.id[:])
		}
		ds = append(ds, d)
	}
	return ds
}

func seconds(d time.Duration) int { return int(d / time.Second) }

type scrapeReply struct {
	Files map[string]scrapedSwarm `bencode:"files"`
	Flags scrapeFlags             `bencode:"flags"`
}

type scrapedSwarm struct {
	Complete   int   `bencode:"complete"`
	Downloaded int64 `bencode:"downloaded"`
	Incomplete int   `bencode:"incomplete"`
}

type scrapeFlags struct {
	MinRequestInterval int `bencode:"min_request_interval"`
}

func (t *Tracker) serveScrape(w http.ResponseWriter, r *http.Request) {
	hashes, err := parseScrape(r.URL.RawQuery)
	if err != nil {
		refuse(w, err)
		return
	}
	write(w, t.scrape(hashes))
}

// scrape counts the peers of some torrents, of all when none is named; unknown ones are left out.
func (t *Tracker) scrape(hashes []InfoHash) scrapeReply {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(hashes) == 0 {
		for h := range t.swarms {
			hashes = append(hashes, h)
		}
	}
	r := scrapeReply{Files: map[string]scrapedSwarm{}, Flags: scrapeFlags{seconds(t.pace.MinInterval)}}
	for _, h := range hashes {
		m := t.swarms[h]
		if m == nil {
			continue
		}
		m.expire(t.now())
		s := scrapedSwarm{Complete: m.complete, Incomplete: len(m.peers) - m.complete, Downloaded: m.downloaded}
		if t.head.Port != 0 {
			s.Complete++
		}
		r.Files[h.AsString()] = s
	}
	return r
}

// refuse gives a reason in the form that clients show (BEP 3): status 200.
func refuse(w http.ResponseWriter, err error) {
	write(w, map[string]string{"failure reason": err.Error()})
}

func write(w http.ResponseWriter, reply any) {
	data, err := bencode.Marshal(reply)
	if err != nil {
		http.Error(w, "the answer cannot be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data) // the peer went away
}
