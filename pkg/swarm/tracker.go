package swarm

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Pace is how often peers announce, and how many others they are told of. Interval is that of a torrent of up to 12
// peers; of more each announces less often, down to once in six intervals: all answers leave on a head's link.
type Pace struct {
	Interval, MinInterval time.Duration
	MaxPeers              int
}

// Head is the seeder that a tracker always names first.
type Head struct {
	// Port is the seeder's BitTorrent port. Its address is the one that the asker reached the tracker by.
	Port uint16
	// Others are further addresses of heads.
	Others []netip.Addr
	// PeerID is told in dictionary lists; the zero id is left out.
	PeerID [20]byte
}

// TrackerConfig says what a tracker starts with.
type TrackerConfig struct {
	Pace Pace
	Head Head
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Tracker answers /announce (BEP 3, 7, 23) and /scrape (BEP 48) for the torrents that it was
// given, and for no others. It keeps its peers in memory: they come back within an interval.
type Tracker struct {
	now func() time.Time

	mu     sync.Mutex
	pace   Pace
	head   Head
	near   []netip.Prefix
	swarms map[InfoHash]*members
}

// Limits of what a request may ask for.
const (
	maxQuery     = 16 << 10 // bytes
	maxScrape    = 200      // info hashes
	maxPeers     = 500      // in one answer
	expireAfter  = 5        // half intervals without an announce
	fallbackPace = 10 * time.Second
	// So many peers announce once an interval; more of them share what these would take, up to so many intervals.
	unhurried     = 12
	mostIntervals = 6
)

// NewTracker returns a tracker without torrents.
func NewTracker(cfg TrackerConfig) *Tracker {
	t := &Tracker{now: cfg.Now, head: cfg.Head, swarms: map[InfoHash]*members{}}
	if t.now == nil {
		t.now = time.Now
	}
	t.SetPace(cfg.Pace)
	return t
}

// SetPace changes the intervals and the number of peers that are told. What is zero becomes
// 10 s, half the interval, 200.
func (t *Tracker) SetPace(p Pace) {
	if p.Interval < time.Second {
		p.Interval = fallbackPace
	}
	if p.MinInterval <= 0 || p.MinInterval > p.Interval {
		p.MinInterval = p.Interval / 2
	}
	if p.MaxPeers <= 0 {
		p.MaxPeers = 200
	}
	p.MaxPeers = min(p.MaxPeers, maxPeers)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pace = p
}

// interval is when a peer of a torrent is to announce again. Those who come tell others of themselves by dialling them, so
// that nobody is found later for it.
func (t *Tracker) interval(m *members) time.Duration {
	return t.pace.Interval * time.Duration(min(max(len(m.peers), unhurried), unhurried*mostIntervals)) / unhurried
}

// SetHead changes the seeder that is always named.
func (t *Tracker) SetHead(h Head) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.head = h
}

// SetNetworks tells which networks there are. Of many peers, most of those that one is told of are of its own.
func (t *Tracker) SetNetworks(list []netip.Prefix) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.near = slices.Clone(list)
}

// network returns the smallest network that an address is in; the zero prefix when it is in none.
func (t *Tracker) network(addr netip.Addr) (best netip.Prefix) {
	for _, p := range t.near {
		if p.Contains(addr) && (!best.IsValid() || p.Bits() > best.Bits()) {
			best = p
		}
	}
	return best
}

// SetTorrents makes the tracker know these torrents and no others. Peers of those it knew stay.
func (t *Tracker) SetTorrents(hashes []InfoHash) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for h := range t.swarms {
		if !slices.Contains(hashes, h) {
			delete(t.swarms, h)
		}
	}
	for _, h := range hashes {
		if t.swarms[h] == nil {
			t.swarms[h] = newMembers()
		}
	}
}

// Swarm is what a tracker knows of one torrent, its own head's seeder not counted.
type Swarm struct {
	InfoHash             InfoHash
	Complete, Incomplete int
	// Downloaded counts the peers that became complete.
	Downloaded int64
}

// Swarms returns what the tracker knows, sorted by info hash.
func (t *Tracker) Swarms() []Swarm {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]Swarm, 0, len(t.swarms))
	for _, h := range slices.SortedFunc(maps.Keys(t.swarms), compareHashes) {
		m := t.swarms[h]
		m.expire(t.now())
		list = append(list, Swarm{InfoHash: h, Complete: m.complete, Incomplete: len(m.peers) - m.complete, Downloaded: m.downloaded})
	}
	return list
}

// ServeHTTP answers a path that ends in /announce or /scrape.
func (t *Tracker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", "GET")
		http.Error(w, "only GET is answered here", http.StatusMethodNotAllowed)
		return
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/announce"):
		t.serveAnnounce(w, r)
	case strings.HasSuffix(r.URL.Path, "/scrape"):
		t.serveScrape(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (t *Tracker) serveAnnounce(w http.ResponseWriter, r *http.Request) {
	q, err := parseAnnounce(r.URL.RawQuery)
	if err != nil {
		refuse(w, err)
		return
	}
	// The connection's own address is the peer's: no header and no parameter may name another.
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		refuse(w, fmt.Errorf("your address cannot be told"))
		return
	}
	reply, err := t.announce(q, remote.Addr().Unmap().WithZone(""), localAddr(r))
	if err != nil {
		refuse(w, err)
		return
	}
	write(w, reply)
}

// localAddr returns the address that a request was sent to; the zero address when it is not known.
func localAddr(r *http.Request) netip.Addr {
	a, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	addr, _ := netip.AddrFromSlice(a.IP)
	return addr.Unmap()
}

// announce takes a peer in, or out, and tells it of others.
func (t *Tracker) announce(q announceQuery, from, local netip.Addr) (announceReply, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.swarms[q.infoHash]
	if m == nil {
		return announceReply{}, fmt.Errorf("torrent %s is not known here", q.infoHash)
	}
	now := t.now()
	m.expire(now)
	p := peer{addr: netip.AddrPortFrom(from, q.port), id: q.peerID, complete: q.left == 0,
		expires: now.Add(t.interval(m) * expireAfter / 2)}
	if q.event == stopped {
		m.remove(p.addr)
		return t.reply(m, q, nil), nil
	}
	known := m.put(p)
	if q.event == completed && known {
		m.downloaded++
	}
	want := t.pace.MaxPeers
	if q.numWant >= 0 {
		want = min(want, q.numWant)
	}
	list := t.head.peers(local, p.addr)
	list = m.append(list, p, want, t.network(from))
	return t.reply(m, q, list[:min(len(list), want)]), nil
}

// peers returns the head's seeder at the address that the asker reached, then at its others.
func (h Head) peers(local netip.Addr, asker netip.AddrPort) []peer {
	var list []peer
	if h.Port == 0 {
		return nil
	}
	for i, a := range append([]netip.Addr{local}, h.Others...) {
		p := peer{addr: netip.AddrPortFrom(a, h.Port), complete: true}
		if i == 0 || a == local {
			p.id = h.PeerID
		}
		if a.IsValid() && p.addr != asker && !contains(list, p.addr) {
			list = append(list, p)
		}
	}
	return list
}

func contains(list []peer, addr netip.AddrPort) bool {
	return slices.ContainsFunc(list, func(p peer) bool { return p.addr == addr })
}
