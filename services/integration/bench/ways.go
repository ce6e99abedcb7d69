package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// way is a way to get a payload from a head to nodes.
type way struct {
	name string
	// programs are what it needs, with the arguments that show their versions.
	programs [][]string
	// alone says that the head sends everything to every node: it is measured with the nth part of the payload.
	alone bool
	head  func(h *hall) []call
	node  func(h *hall, n *seat) call
}

// slowness is how many times the bound is expected.
func (w way) slowness(nodes int) int {
	if w.alone {
		return nodes
	}
	return 1
}

var allWays = []way{
	{name: "luna", head: (*hall).ourHead, node: (*hall).ourNode},
	{name: "anacrolix", head: (*hall).libraryHead, node: (*hall).libraryNode},
	{name: "libtorrent", head: (*hall).libtorrentHead, node: (*hall).libtorrentNode,
		programs: [][]string{{"/usr/bin/python3", "-c", "import libtorrent; print('libtorrent', libtorrent.__version__)"}}},
	{name: "aria2", head: (*hall).ariaHead, node: (*hall).ariaNode, programs: [][]string{{"aria2c", "--version"}}},
	{name: "nginx", alone: true, head: (*hall).nginxHead, node: (*hall).nginxNode, programs: [][]string{{"nginx", "-v"}, {"curl", "--version"}}},
	{name: "udpcast", head: (*hall).udpHead, node: (*hall).udpNode, programs: [][]string{
		{"dpkg-query", "-W", "udpcast"}, {"sh", "-c", "command -v udp-sender udp-receiver"}}},
}

// ways are those with these names, or all.
func ways(names []string) ([]way, error) {
	if len(names) == 0 {
		return allWays, nil
	}
	var chosen []way
	for _, name := range names {
		i := slices.IndexFunc(allWays, func(w way) bool { return w.name == name })
		if i < 0 {
			return nil, fmt.Errorf("%q is not measured: luna, anacrolix, libtorrent, aria2, nginx and udpcast are", name)
		}
		chosen = append(chosen, allWays[i])
	}
	return chosen, nil
}

func (h *hall) ourHead() []call {
	return []call{play(part{Kind: "head", Addr: swarmHead, Torrent: h.payload.torrentFile(), Dir: h.payload.segments()}, "")}
}

func (h *hall) ourNode(n *seat) call {
	return play(part{Kind: "node", Addr: n.addr, Torrent: h.payload.torrentFile(), Dir: filepath.Join(n.dir, "luna")}, complete)
}

// trackerCall is the tracker of the other swarms: ours, which knows no head then.
func (h *hall) trackerCall() call {
	return play(part{Kind: "tracker", Addr: swarmHead, Torrent: h.payload.torrentFile(), Dir: h.payload.segments()}, "")
}

func (h *hall) libraryHead() []call {
	return []call{h.trackerCall(), play(part{Kind: "library-head", Addr: swarmHead, Torrent: h.payload.torrentFile(), Dir: h.payload.segments()}, "")}
}

func (h *hall) libraryNode(n *seat) call {
	return play(part{Kind: "library-node", Addr: n.addr, Torrent: h.payload.torrentFile(), Dir: filepath.Join(n.dir, "luna")}, complete)
}

// libtorrentPeer joins as libtorrent comes, without what looks for the Internet: address, torrent file, directory.
const libtorrentPeer = `
import libtorrent, sys, time
s = libtorrent.session({'listen_interfaces': sys.argv[1] + ':7052', 'enable_dht': False, 'enable_lsd': False,
    'enable_upnp': False, 'enable_natpmp': False})
h = s.add_torrent({'ti': libtorrent.torrent_info(sys.argv[2]), 'save_path': sys.argv[3]})
while not h.status().is_seeding:
    time.sleep(0.05)
print('complete', flush=True)
while True:
    time.sleep(60)
`

func (h *hall) libtorrent(s *seat, dir string) call {
	return call{args: []string{"/usr/bin/python3", "-c", libtorrentPeer, s.addr.String(), h.payload.torrentFile(), dir}, done: complete}
}

func (h *hall) libtorrentHead() []call {
	c := h.libtorrent(h.head, h.payload.dir)
	c.ready = complete
	return []call{h.trackerCall(), c}
}

func (h *hall) libtorrentNode(n *seat) call { return h.libtorrent(n, n.dir) }

// aria is a call of aria2, which tells of a whole payload only by a hook while it seeds on.
func (h *hall) aria(dir string, more ...string) call {
	args := []string{"aria2c", "--no-conf", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false", "--disable-ipv6=true",
		"--seed-ratio=0.0", "--file-allocation=none", "--summary-interval=0", "--console-log-level=notice", "--show-console-readout=false",
		"--listen-port=" + strconv.Itoa(peerPort), "--dir=" + dir, "--on-bt-download-complete=" + h.ariaHook()}
	return call{args: append(append(args, more...), h.payload.torrentFile()), done: complete}
}

// ariaHook is a program that all call; it is written before any of them runs.
func (h *hall) ariaHook() string { return filepath.Join(h.payload.dir, "hook") }

func (h *hall) ariaHead() []call {
	if err := os.WriteFile(h.ariaHook(), []byte("#!/bin/sh\necho "+complete+"\n"), 0o755); err != nil {
		return []call{failing(err)}
	}
	c := h.aria(h.payload.dir, "--check-integrity=true")
	c.ready = "Verification finished successfully"
	return []call{h.trackerCall(), c}
}

func (h *hall) ariaNode(n *seat) call { return h.aria(n.dir) }

func (h *hall) nginxHead() []call {
	conf := fmt.Sprintf(`daemon off; user root; worker_processes auto; pid %[1]s/pid; error_log stderr notice;
events { }
http {
	access_log off; sendfile on; send_timeout 1h; keepalive_timeout 1h; client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
	server { listen %[2]s:7050; root %[3]s; }
}
`, h.head.dir, swarmHead, h.payload.dir)
	file := filepath.Join(h.head.dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		return []call{failing(err)}
	}
	return []call{{args: []string{"nginx", "-p", h.head.dir, "-e", "stderr", "-c", file}, ready: "start worker process"}}
}

// nginxNode tries again: the kernel gives up a connection of which all first packets find the head's queue full, and
// says so to nobody until a keep-alive asks.
func (h *hall) nginxNode(n *seat) call {
	return call{args: []string{"curl", "-sS", "-f", "--keepalive-time", "5", "--retry", "9", "--retry-all-errors", "--retry-delay", "1", "-o", filepath.Join(n.dir, "whole"), fmt.Sprintf("http://%s:7050/whole", swarmHead)}}
}

// failing is the call of a program whose preparation failed; its error says why.
func failing(err error) call {
	return call{args: []string{"sh", "-c", `echo "$1"; exit 1`, "sh", err.Error()}, ready: "?"}
}

// udpHead sends a little under the rate of the link: what a switch drops is sent again.
func (h *hall) udpHead() []call {
	return []call{{args: []string{"udp-sender", "--interface", "eth0", "--file", filepath.Join(h.payload.dir, "whole"), "--nokbd", "--full-duplex",
		"--min-receivers", strconv.Itoa(h.shape.nodes), "--max-bitrate", fmt.Sprintf("%.0fk", h.shape.mbit*950)}, atBegin: true}}
}

func (h *hall) udpNode(n *seat) call {
	return call{args: []string{"udp-receiver", "--interface", "eth0", "--file", filepath.Join(n.dir, "whole"), "--nokbd"}}
}
