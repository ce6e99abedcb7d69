package swarm_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/testenv"
)

// libtorrentClient joins with libtorrent: address, torrent file, directory.
const libtorrentClient = `
import libtorrent, sys, time
s = libtorrent.session({'listen_interfaces': sys.argv[1] + ':7052', 'enable_dht': False,
    'enable_lsd': False, 'enable_upnp': False, 'enable_natpmp': False})
s.add_torrent({'ti': libtorrent.torrent_info(sys.argv[2]), 'save_path': sys.argv[3]})
time.sleep(600)
`

// stranger is a foreign client: the command that joins and seeds on.
type stranger struct {
	program string
	args    func(t *testing.T, m *machine, torrent, into string) []string
}

var strangers = map[string]stranger{
	"aria2": {"aria2c", func(_ *testing.T, m *machine, torrent, into string) []string {
		return []string{"--no-conf", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false", "--disable-ipv6=true",
			"--seed-time=60", "--quiet", "--file-allocation=none", "--listen-port=" + strconv.Itoa(peerPort), "--dir=" + into, torrent}
	}},
	// Debian's module is of Debian's python.
	"libtorrent": {"/usr/bin/python3", func(_ *testing.T, m *machine, torrent, into string) []string {
		return []string{"-c", libtorrentClient, m.addr.String(), torrent, into}
	}},
	"transmission": {"transmission-cli", func(t *testing.T, _ *machine, torrent, into string) []string {
		config := t.TempDir()
		write(t, filepath.Join(config, "settings.json"), []byte(`{"dht-enabled": false, "lpd-enabled": false, "utp-enabled": false}`))
		return []string{"-g", config, "-M", "-p", strconv.Itoa(peerPort), "-w", into, torrent}
	}},
}

// Each foreign client gets the payload from a head, a node gets it from the client, and the client
// from the node.
func TestStrangersTakePart(t *testing.T) {
	t.Parallel()
	for name, s := range strangers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testenv.Program(t, s.program)
			r := newSwitchroom(t, "", pieceLength, 20, 40, 25)
			head := r.head()
			torrent := filepath.Join(r.dir, "luna.torrent")
			write(t, torrent, r.payload.announcingTo(t, "http://"+head.addr.String()+":7051/announce"))
			first := s.join(t, r, torrent)
			head.tell("unseed")
			// A client may take its time; what came over HTTP meanwhile would be from the head.
			list := r.nodes(1, func(role *role) { role.Stall = time.Hour })
			begin(list)
			allComplete(list, patience)
			if st := stats(list); st.FromPeers != r.payload.size {
				t.Errorf("from the client came %+v", st)
			}
			first.kill()
			s.join(t, r, torrent)
		})
	}
}

// As one of eight nodes a foreign client gets the same bytes, and gives others what it has. The links are slow,
// since transmission thinks every 10 s of whom to serve.
func TestStrangerIsOneOfEight(t *testing.T) {
	t.Parallel()
	for name, s := range strangers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testenv.Program(t, s.program)
			r := newSwitchroom(t, "4mbit", pieceLength, 80, 70, 50)
			head := r.head()
			torrent := filepath.Join(r.dir, "luna.torrent")
			write(t, torrent, r.payload.announcingTo(t, "http://"+head.addr.String()+":7051/announce"))
			list := r.nodes(7)
			m := s.start(t, r, torrent)
			begin(list)
			r.complete(name+" as the eighth, to the others", list)
			s.complete(t, m)
			t.Logf("%s has sent %d bytes, the payload has %d", name, m.sent(), r.payload.size)
			// What it says itself is some hundredths of what it fetches.
			if sent := m.sent(); sent < r.payload.size/10 {
				t.Errorf("%s has sent %d bytes only: it was no peer", name, sent)
			}
		})
	}
}

// join lets a client join and waits until it has everything.
func (s stranger) join(t *testing.T, r *switchroom, torrent string) *machine {
	t.Helper()
	m := s.start(t, r, torrent)
	s.complete(t, m)
	return m
}

// start lets a client join.
func (s stranger) start(t *testing.T, r *switchroom, torrent string) *machine {
	t.Helper()
	m := r.plug()
	m.role.Dir = filepath.Join(r.dir, strconv.Itoa(m.index))
	must(t, os.Mkdir(m.role.Dir, 0o755))
	m.run("HOME="+m.role.Dir, s.program, s.args(t, m, torrent, m.role.Dir)...)
	return m
}

// complete waits until a client has everything.
func (s stranger) complete(t *testing.T, m *machine) {
	t.Helper()
	for _, name := range m.room.payload.segments {
		eventually(t, func() bool {
			data, err := os.ReadFile(filepath.Join(m.role.Dir, "luna", name))
			sum := sha256.Sum256(data)
			return err == nil && hex.EncodeToString(sum[:]) == name
		})
	}
}
