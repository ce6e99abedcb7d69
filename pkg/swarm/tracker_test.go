package swarm_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/luna-hpc/luna/pkg/swarm"
)

// desk is a tracker with a clock that stands still, reached at 10.0.0.254:7051.
type desk struct {
	*swarm.Tracker
	now time.Time
}

var known = swarm.InfoHash([]byte("\x00&=% +abcdefghijklmno"[:20]))

func newDesk(t testing.TB) *desk {
	t.Helper()
	d := &desk{now: time.Unix(1e9, 0)}
	d.Tracker = swarm.NewTracker(swarm.TrackerConfig{
		Pace: swarm.Pace{Interval: 10 * time.Second, MinInterval: 5 * time.Second},
		Head: swarm.Head{Port: 7052, PeerID: [20]byte([]byte("-LN0001-headheadhead"))},
		Now:  func() time.Time { return d.now },
	})
	d.SetTorrents([]swarm.InfoHash{known})
	return d
}

// ask sends a request from a peer and decodes the answer.
func (d *desk) ask(t testing.TB, from, path string, more ...string) map[string]any {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.RemoteAddr = from
	local := net.Addr(&net.TCPAddr{IP: net.IPv4(10, 0, 0, 254), Port: 7051})
	if strings.HasPrefix(from, "[fd") {
		local = &net.TCPAddr{IP: net.ParseIP("fd00::fe"), Port: 7051}
	}
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
	for _, h := range more {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	v, err := bdecode(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return v.(map[string]any)
}

// announce is an announce of the known torrent with the peer's port and more parameters.
func announce(port int, more string) string {
	return fmt.Sprintf("/announce?info_hash=%s&peer_id=-XX0001-%012d&port=%d&left=5&%s",
		url.QueryEscape(string(known[:])), port, port, more)
}

// compact4 returns the addresses in a string of compact IPv4 peers (BEP 23).
func compact4(t testing.TB, v any) []string {
	t.Helper()
	return compact(t, v, 4)
}

func compact(t testing.TB, v any, size int) []string {
	t.Helper()
	s, ok := v.(string)
	if !ok || len(s)%(size+2) != 0 {
		t.Fatalf("not compact peers of %d bytes: %q", size+2, v)
	}
	list := []string{}
	for ; s != ""; s = s[size+2:] {
		a, _ := netip.AddrFromSlice([]byte(s[:size]))
		list = append(list, netip.AddrPortFrom(a, uint16(s[size])<<8|uint16(s[size+1])).String())
	}
	return list
}

func TestAnnounceTellsPeers(t *testing.T) {
	d := newDesk(t)
	got := d.ask(t, "10.0.0.1:40001", announce(7001, "event=started"))
	want := map[string]any{"complete": 1, "incomplete": 1, "interval": 10, "min interval": 5,
		"peers": "\x0a\x00\x00\xfe\x1b\x8c"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got = d.ask(t, "10.0.0.2:40001", announce(7002, "compact=1&event=started"))
	if diff := cmp.Diff([]string{"10.0.0.254:7052", "10.0.0.1:7001"}, compact4(t, got["peers"])); diff != "" {
		t.Error(diff)
	}
}

func TestAnnounceDictionaries(t *testing.T) {
	d := newDesk(t)
	d.ask(t, "10.0.0.1:40001", announce(7001, ""))
	got := d.ask(t, "10.0.0.2:40001", announce(7002, "compact=0"))
	want := []any{
		map[string]any{"ip": "10.0.0.254", "peer id": "-LN0001-headheadhead", "port": 7052},
		map[string]any{"ip": "10.0.0.1", "peer id": "-XX0001-000000007001", "port": 7001},
	}
	if diff := cmp.Diff(want, got["peers"]); diff != "" {
		t.Error(diff)
	}
	got = d.ask(t, "10.0.0.2:40001", announce(7002, "compact=0&no_peer_id=1"))
	want = []any{map[string]any{"ip": "10.0.0.254", "port": 7052}, map[string]any{"ip": "10.0.0.1", "port": 7001}}
	if diff := cmp.Diff(want, got["peers"]); diff != "" {
		t.Error(diff)
	}
}

func TestAnnounceIPv6(t *testing.T) {
	d := newDesk(t)
	d.ask(t, "10.0.0.1:40001", announce(7001, ""))
	got := d.ask(t, "[fd00::1]:40001", announce(7001, ""))
	if diff := cmp.Diff([]string{"[fd00::fe]:7052"}, compact(t, got["peers6"], 16)); diff != "" {
		t.Error(diff)
	}
	got = d.ask(t, "[::ffff:10.0.0.2]:40001", announce(7002, ""))
	if diff := cmp.Diff([]string{"[fd00::1]:7001"}, compact(t, got["peers6"], 16)); diff != "" {
		t.Error(diff)
	}
	if l := compact4(t, got["peers"]); !slices.Contains(l, "10.0.0.1:7001") {
		t.Errorf("peers %q", l)
	}
}

func TestAnnounceBelievesOnlyTheConnection(t *testing.T) {
	d := newDesk(t)
	d.ask(t, "10.0.0.1:40001", announce(7001, "ip=10.9.9.9&ipv4=10.9.9.8&ipv6=fd00::9"),
		"X-Real-IP: 10.9.9.7", "X-Forwarded-For: 10.9.9.6", "Forwarded: for=10.9.9.5")
	got := d.ask(t, "10.0.0.2:40001", announce(7002, ""))
	if diff := cmp.Diff([]string{"10.0.0.254:7052", "10.0.0.1:7001"}, compact4(t, got["peers"])); diff != "" {
		t.Error(diff)
	}
	if got["peers6"] != nil {
		t.Errorf("peers6 %q", got["peers6"])
	}
}

func TestAnnounceStoppedAndExpired(t *testing.T) {
	d := newDesk(t)
	d.ask(t, "10.0.0.1:40001", announce(7001, "event=started"))
	d.ask(t, "10.0.0.2:40001", announce(7002, "event=started"))
	got := d.ask(t, "10.0.0.1:40002", announce(7001, "event=stopped"))
	if l := compact4(t, got["peers"]); len(l) != 0 {
		t.Errorf("who leaves is told %q", l)
	}
	d.now = d.now.Add(20 * time.Second) // two intervals: still there
	got = d.ask(t, "10.0.0.3:40001", announce(7003, ""))
	if diff := cmp.Diff([]string{"10.0.0.254:7052", "10.0.0.2:7002"}, compact4(t, got["peers"])); diff != "" {
		t.Error(diff)
	}
	d.now = d.now.Add(10 * time.Second) // three: gone
	got = d.ask(t, "10.0.0.3:40001", announce(7003, ""))
	if diff := cmp.Diff([]string{"10.0.0.254:7052"}, compact4(t, got["peers"])); diff != "" {
		t.Error(diff)
	}
}

func TestAnnounceNumwantAndPace(t *testing.T) {
	d := newDesk(t)
	for i := range 11 {
		d.ask(t, fmt.Sprintf("10.0.1.%d:40001", i), announce(7001, ""))
	}
	for numwant, want := range map[string]int{"": 12, "numwant=0": 0, "numwant=1": 1, "numwant=7": 7, "numwant=999": 12, "numwant=-1": 12} {
		l := compact4(t, d.ask(t, "10.0.0.1:40001", announce(7001, numwant))["peers"])
		if len(l) != want {
			t.Errorf("%q: %d peers, should be %d", numwant, len(l), want)
		}
		if want > 0 && l[0] != "10.0.0.254:7052" {
			t.Errorf("%q: the head is not among %q", numwant, l)
		}
	}
	d.SetPace(swarm.Pace{Interval: time.Minute, MinInterval: 20 * time.Second, MaxPeers: 4})
	got := d.ask(t, "10.0.0.1:40001", announce(7001, "numwant=50"))
	if l := compact4(t, got["peers"]); len(l) != 4 || got["interval"] != 60 || got["min interval"] != 20 {
		t.Errorf("%d peers, interval %v, min interval %v", len(l), got["interval"], got["min interval"])
	}
}

func TestManyPeersAnnounceLessOften(t *testing.T) {
	d := newDesk(t)
	crowd := func(n int) map[string]any {
		var got map[string]any
		for i := range n {
			got = d.ask(t, fmt.Sprintf("10.0.%d.%d:40001", 1+i/200, i%200), announce(7001, "numwant=0"))
		}
		return got
	}
	for n, want := range map[int]int{12: 10, 24: 20, 72: 60, 300: 60} {
		d.SetTorrents(nil)
		d.SetTorrents([]swarm.InfoHash{known})
		if got := crowd(n)["interval"]; got != want {
			t.Errorf("%d peers announce every %v s, not every %d", n, got, want)
		}
	}
	// They are remembered for two and a half times as long as they may be silent.
	d.SetTorrents(nil)
	d.SetTorrents([]swarm.InfoHash{known})
	crowd(300)
	crowd(300)
	for _, step := range []struct{ after, left int }{{149, 300}, {151, 0}} {
		d.now = time.Unix(1e9+int64(step.after), 0)
		if got := d.Swarms()[0].Incomplete; got != step.left {
			t.Errorf("%d peers after %d s, not %d", got, step.after, step.left)
		}
	}
}

func TestAnnounceSeedsAreNotToldOfSeeds(t *testing.T) {
	d := newDesk(t)
	d.ask(t, "10.0.0.1:40001", announce(7001, "left=0")) // the first left counts
	seed := strings.Replace(announce(7002, "event=completed"), "left=5", "left=0", 1)
	d.ask(t, "10.0.0.2:40001", strings.Replace(announce(7002, ""), "left=5", "left=9", 1))
	d.ask(t, "10.0.0.2:40001", seed)
	got := d.ask(t, "10.0.0.3:40001", strings.Replace(announce(7003, ""), "left=5", "left=0", 1))
	if diff := cmp.Diff([]string{"10.0.0.254:7052", "10.0.0.1:7001"}, compact4(t, got["peers"])); diff != "" {
		t.Error(diff)
	}
	if got["complete"] != 3 || got["incomplete"] != 1 {
		t.Errorf("complete %v, incomplete %v", got["complete"], got["incomplete"])
	}
}

func TestAnnounceRefusals(t *testing.T) {
	d := newDesk(t)
	for query, reason := range map[string]string{
		"info_hash=01234567890123456789&peer_id=01234567890123456789&port=1": "torrent 3031323334353637383930313233343536373839 is not known here",
		"peer_id=01234567890123456789&port=1":                                "info_hash has 0 bytes, not 20",
		"info_hash=01234567890123456789&peer_id=0&port=1":                    "peer_id has 1 bytes, not 20",
		"info_hash=01234567890123456789&peer_id=01234567890123456789&port=0": `port "0" is not a port`,
		"info_hash=%zz":                   "query is not well formed",
		"x=" + strings.Repeat("y", 20000): "query of more than 16384 bytes",
	} {
		got := d.ask(t, "10.0.0.1:40001", "/announce?"+query)
		if diff := cmp.Diff(map[string]any{"failure reason": reason}, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestScrape(t *testing.T) {
	d := newDesk(t)
	other := swarm.InfoHash([]byte("abcdefghijklmnopqrst"))
	d.SetTorrents([]swarm.InfoHash{known, other})
	d.ask(t, "10.0.0.1:40001", announce(7001, ""))
	one := map[string]any{"complete": 1, "downloaded": 0, "incomplete": 1}
	none := map[string]any{"complete": 1, "downloaded": 0, "incomplete": 0}
	flags := map[string]any{"min_request_interval": 5}
	for query, files := range map[string]map[string]any{
		"": {string(known[:]): one, string(other[:]): none},
		"?info_hash=abcdefghijklmnopqrst&info_hash=" + strings.Repeat("z", 20): {string(other[:]): none},
		"?info_hash=" + url.QueryEscape(string(known[:])):                      {string(known[:]): one},
	} {
		want := map[string]any{"files": files, "flags": flags}
		if diff := cmp.Diff(want, d.ask(t, "10.0.0.9:40001", "/scrape"+query)); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
	d.SetTorrents([]swarm.InfoHash{other})
	got := d.ask(t, "10.0.0.1:40001", announce(7001, ""))
	if _, refused := got["failure reason"]; !refused {
		t.Errorf("a torrent that went is announced: %v", got)
	}
}

func TestOneAddressFillsNothing(t *testing.T) {
	d := newDesk(t)
	for port := 1; port < 3000; port++ {
		d.ask(t, "10.0.0.1:40001", announce(port, ""))
	}
	if s := d.Swarms()[0]; s.Incomplete != 64 {
		t.Errorf("%d peers of one address are remembered", s.Incomplete)
	}
}

// Beyond 31 nodes each is told a few others, and all can still be reached from any.
func TestManyNodesHangTogether(t *testing.T) {
	const nodes = 300
	name := func(i int) string { return fmt.Sprintf("10.1.%d.%d", i/100, i%100+1) }
	network := func(i int) netip.Prefix { return netip.MustParsePrefix(fmt.Sprintf("10.1.%d.0/24", i)) }
	for title, c := range map[string]struct {
		networks   []netip.Prefix
		most, near int // of those that a node is told of, and how many of them are near at least
	}{
		"one network":    {[]netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, 20, 0},
		"no network":     {nil, 20, 0},
		"three networks": {[]netip.Prefix{network(0), network(1), network(2)}, 20, 10},
	} {
		t.Run(title, func(t *testing.T) {
			d := newDesk(t)
			d.SetNetworks(c.networks)
			for i := range nodes {
				d.ask(t, name(i)+":40001", announce(7001, ""))
			}
			reach := map[string][]string{}
			for i := range nodes {
				l := compact4(t, d.ask(t, name(i)+":40001", announce(7001, ""))["peers"])[1:]
				near := 0
				for _, to := range l {
					reach[name(i)+":7001"] = append(reach[name(i)+":7001"], to)
					if strings.HasPrefix(to, fmt.Sprintf("10.1.%d.", i/100)) {
						near++
					}
				}
				if len(l) > c.most || near < c.near {
					t.Errorf("%s is told of %d others, %d of them near", name(i), len(l), near)
				}
			}
			if n := reached(reach, name(0)+":7001"); n != nodes {
				t.Errorf("from one node %d of %d can be reached", n, nodes)
			}
		})
	}
}

// reached returns how many can be reached from one.
func reached(reach map[string][]string, from string) int {
	seen, todo := map[string]bool{}, []string{from}
	for len(todo) > 0 {
		n := todo[0]
		todo = todo[1:]
		if !seen[n] {
			seen[n] = true
			todo = append(todo, reach[n]...)
		}
	}
	return len(seen)
}

// The rings are the same at every head, whenever it was started.
func TestEveryHeadNamesTheSameNeighbours(t *testing.T) {
	d := newDesk(t)
	for i := range 40 {
		d.ask(t, fmt.Sprintf("10.0.1.%d:40001", i), announce(7001, "numwant=0"))
	}
	var want []string
	for _, i := range []int{12, 14, 15, 17, 18, 19, 20, 21, 23, 27, 33, 34, 4, 5} {
		want = append(want, fmt.Sprintf("10.0.1.%d:7001", i))
	}
	got := compact4(t, d.ask(t, "10.0.1.7:40001", announce(7001, ""))["peers"])[1:]
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Of a small network everybody is told, and of others as many as in one network.
func TestSmallNetworks(t *testing.T) {
	const racks, nodes = 20, 4
	d := newDesk(t)
	var networks []netip.Prefix
	name := func(i int) string { return fmt.Sprintf("10.1.%d.%d", i/nodes, i%nodes+1) }
	for i := range racks {
		networks = append(networks, netip.MustParsePrefix(fmt.Sprintf("10.1.%d.0/24", i)))
	}
	d.SetNetworks(networks)
	for i := range racks * nodes {
		d.ask(t, name(i)+":40001", announce(7001, ""))
	}
	for i := range racks * nodes {
		l := compact4(t, d.ask(t, name(i)+":40001", announce(7001, ""))["peers"])[1:]
		near := 0
		for _, to := range l {
			if strings.HasPrefix(to, fmt.Sprintf("10.1.%d.", i/nodes)) {
				near++
			}
		}
		if near != nodes-1 || len(l) < 10 {
			t.Errorf("%s is told of %d others, %d of them near", name(i), len(l), near)
		}
	}
}

func TestTrackerAnswersOnlyGet(t *testing.T) {
	d := newDesk(t)
	for path, want := range map[string]int{"POST /announce": 405, "GET /elsewhere": 404} {
		method, p, _ := strings.Cut(path, " ")
		w := httptest.NewRecorder()
		d.ServeHTTP(w, httptest.NewRequest(method, p, nil))
		if w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}
