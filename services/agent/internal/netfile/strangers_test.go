package netfile

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/luna-hpc/luna/pkg/testenv"
)

// state is what became of a network in a guest, as ip(8) tells it.
type state struct {
	// addresses are those of each interface but link-local ones.
	addresses map[string][]string
	// routes are "gateway interface" of the default routes, IPv4 and IPv6.
	routes [2]string
	links  map[string]linkState
}

type linkState struct {
	MAC, Master, Kind, Parent string
	MTU, Tag                  int
	Mode                      string
	STP                       int
}

// want is what each network must come to, under every manager. The cards are
// ens3 (BOOTIF), ens4 and ens5; the guest's can have 1500 bytes at most.
var want = map[string]state{
	"second": {
		addresses: map[string][]string{"ens3": {"10.30.0.1/16", "fd00::1/64"}, "ens4": {"10.40.0.1/16", "10.41.0.1/24", "fd01::1/64", "fd02::1/64"}},
		routes:    [2]string{"10.30.255.1 ens3", "fd00::ff ens3"},
		links:     map[string]linkState{"ens3": {MAC: boot, MTU: 1400}, "ens4": {MAC: second, MTU: 1500}, "ens5": {MAC: third, MTU: 1400}},
	},
	"bond": {
		addresses: map[string][]string{"bond0": {"10.30.0.1/16", "fd00::1/64"}, "storage": {"10.60.0.1/16"}, "br1": {"10.70.0.1/24"}},
		routes:    [2]string{"10.30.255.1 bond0", "fd00::ff bond0"},
		links: map[string]linkState{
			"ens3": {MAC: boot, MTU: 1400, Master: "bond0"}, "ens4": {MAC: boot, MTU: 1400, Master: "bond0"},
			"bond0": {MAC: boot, MTU: 1400, Kind: "bond", Mode: "802.3ad"}, "storage": {MAC: boot, MTU: 1300, Kind: "vlan", Parent: "bond0", Tag: 60},
			"br1": {MTU: 1500, Kind: "bridge", STP: 1}, "vlan70": {MAC: third, MTU: 1500, Kind: "vlan", Parent: "ens5", Tag: 70, Master: "br1"},
		},
	},
	"bond-vlan-named": {
		addresses: map[string][]string{"bond0": {"10.30.0.1/16", "fd00::1/64"}, "bond0.60": {"10.60.0.1/16"}},
		routes:    [2]string{"10.30.255.1 bond0", "fd00::ff bond0"},
		links: map[string]linkState{
			"ens3": {MAC: boot, MTU: 1500, Master: "bond0"}, "ens4": {MAC: boot, MTU: 1500, Master: "bond0"},
			"bond0": {MAC: boot, MTU: 1500, Kind: "bond", Mode: "active-backup"}, "bond0.60": {MAC: boot, MTU: 1500, Kind: "vlan", Parent: "bond0", Tag: 60},
		},
	},
	"bridge": {
		addresses: map[string][]string{"br0": {"10.30.0.1/16", "fd00::1/64"}, "br1": {"10.70.0.1/24"}},
		routes:    [2]string{"10.30.255.1 br0", "fd00::ff br0"},
		links: map[string]linkState{
			"ens3": {MAC: boot, MTU: 1400, Master: "br0"}, "ens4": {MAC: second, MTU: 1400, Master: "br0"}, "ens5": {MAC: third, MTU: 1500},
			"br0": {MAC: boot, MTU: 1400, Kind: "bridge"}, "br1": {MTU: 1500, Kind: "bridge", STP: 1},
			"vlan70": {MAC: third, MTU: 1500, Kind: "vlan", Parent: "ens5", Tag: 70, Master: "br1"},
		},
	},
	"bridge-of-bond": {
		addresses: map[string][]string{"br0": {"10.30.0.1/16", "fd00::1/64"}},
		routes:    [2]string{"10.30.255.1 br0", "fd00::ff br0"},
		links: map[string]linkState{
			"ens3": {MAC: boot, MTU: 1500, Master: "bond0"}, "ens4": {MAC: boot, MTU: 1500, Master: "bond0"},
			"bond0": {MAC: boot, MTU: 1500, Kind: "bond", Mode: "balance-xor", Master: "br0"}, "br0": {MAC: boot, MTU: 1500, Kind: "bridge"},
		},
	},
	"ipoib": {
		addresses: map[string][]string{"ens3": {"10.30.0.1/16", "fd00::1/64"}},
		routes:    [2]string{"10.30.255.1 ens3", "fd00::ff ens3"},
		links:     map[string]linkState{"ens3": {MAC: boot, MTU: 1500}},
	},
	"vlan-on-bootif": {
		addresses: map[string][]string{"ens3": {"10.30.0.1/16", "fd00::1/64"}, "ipmi": {"10.80.0.1/24"}},
		routes:    [2]string{"10.30.255.1 ens3", "fd00::ff ens3"},
		links:     map[string]linkState{"ens3": {MAC: boot, MTU: 1400}, "ipmi": {MAC: boot, MTU: 1400, Kind: "vlan", Parent: "ens3", Tag: 80}},
	},
}

const boot, second, third = "52:54:00:00:00:01", "52:54:00:00:00:02", "52:54:00:00:00:03"

// TestStrangersBringTheNetworkUp lets each network manager that Debian has work
// on what is written for it, in a kernel with bonds and VLANs: User Mode Linux,
// in a network namespace of its own. LUNA_SOAK=2 takes all networks.
func TestStrangersBringTheNetworkUp(t *testing.T) {
	testenv.Root(t)
	for manager, program := range map[string]string{
		"ifupdown": "ifup", "networkd": "/lib/systemd/systemd-networkd", "netplan": "netplan", "networkmanager": "NetworkManager",
	} {
		testenv.Program(t, program)
		for name := range want {
			if !slices.Contains([]string{"second", "bond"}, name) && testenv.Times(t, 1) == 1 {
				continue // Each takes some seconds.
			}
			if name == "ipoib" && manager == "ifupdown" {
				continue // It waits for none of the cards that the guest has not.
			}
			t.Run(manager+"/"+name, func(t *testing.T) {
				g := newGuest(t, manager, small(find(networks(t), name)))
				g.run(t, want[name])
				if diff := cmp.Diff(want[name], g.state(t, want[name]), cmp.AllowUnexported(state{})); diff != "" {
					t.Errorf("(-want +got)\n%s\n%s", diff, g.log())
				}
				g.complains(t)
			})
		}
	}
}

// small makes a network fit the guest's cards: their frames and their number.
func small(network []byte) []byte {
	return []byte(strings.NewReplacer(":9000", ":1400", ":8000", ":1300", "eno9", "ens5").Replace(string(network)))
}

// guest is a kernel with a network manager and three cards.
type guest struct{ dir, manager string }

// newGuest writes a network for a manager's image.
func newGuest(t *testing.T, manager string, network []byte) guest {
	t.Helper()
	g := guest{t.TempDir(), manager}
	tree, dir := image(t, images(t)[manager])
	n, err := Parse(bytes.NewReader(network))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Write(tree, usual); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.Mkdir(filepath.Join(g.dir, "out"), 0o755),
		os.MkdirAll(filepath.Join(g.dir, "modules", "lib"), 0o755),
		os.Symlink("/usr/lib/uml/modules", filepath.Join(g.dir, "modules", "lib", "modules")),
		os.Symlink(dir, filepath.Join(g.dir, "tree")),
		os.WriteFile(filepath.Join(g.dir, "names"), []byte("ens3\nens4\nens5\n"), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return g
}

// run starts the guest in a network namespace of its own and waits for its end.
func (g guest) run(t *testing.T, s state) {
	t.Helper()
	linux := testenv.Program(t, "linux.uml")
	var wanted []string
	for _, addresses := range s.addresses {
		wanted = append(wanted, addresses...)
	}
	for _, route := range s.routes {
		gateway, device, _ := strings.Cut(route, " ")
		wanted = append(wanted, "default via "+gateway+" dev "+device)
	}
	if err := os.WriteFile(filepath.Join(g.dir, "wanted"), []byte(strings.Join(wanted, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs("testdata/guest.sh")
	if err != nil {
		t.Fatal(err)
	}
	line := []string{
		linux, "mem=256M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "quiet", "panic=-1", "con=null", "con0=null,fd:1", "init=" + script,
	}
	taps := ""
	for n, mac := range []string{boot, second, third} {
		tap := "tap" + string(rune('0'+n))
		taps += "ip tuntap add dev " + tap + " mode tap && ip link set dev " + tap + " up && "
		line = append(line, "vec"+string(rune('0'+n))+":transport=tap,ifname="+tap+",mac="+mac)
	}
	line = append(line, "--", g.dir, g.manager)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", append([]string{"--net", "--pid", "--fork", "--kill-child", "sh", "-c", taps + `exec "$@"`, "sh"}, line...)...)
	cmd.Dir = g.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Env = append(os.Environ(), "TMPDIR="+g.dir, "HOME="+g.dir)
	cmd.WaitDelay = 10 * time.Second
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		g.watch(ctx, cancel)
	}()
	out, err := cmd.CombinedOutput()
	cancel()
	<-ended
	if !g.told() {
		t.Fatalf("the guest did not come to its end: %v\n%s\n%s", err, out, g.log())
	}
}

// watch ends the guest when it has told all: it has nothing more to do, and its
// kernel does not always end by itself.
func (g guest) watch(ctx context.Context, end func()) {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for !g.told() {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
	end()
}

func (g guest) told() bool {
	_, err := os.Stat(filepath.Join(g.dir, "out", "done"))
	return err == nil
}

// log is the manager's, its end if it is long.
func (g guest) log() string {
	data, err := os.ReadFile(filepath.Join(g.dir, "out", "log"))
	if err != nil {
		return err.Error()
	}
	const most = 20_000
	return string(data[max(0, len(data)-most):])
}

// complains fails when the manager did not take our files as they are.
func (g guest) complains(t *testing.T) {
	t.Helper()
	for _, name := range []string{"log", "generate"} {
		data, err := os.ReadFile(filepath.Join(g.dir, "out", name))
		if err != nil && name == "log" {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			for _, bad := range []string{"Unknown key", "Unknown section", "Failed to parse", "ignoring", "Deprecated", "keyfile: error", "invalid", "ifup 1", "failed"} {
				if strings.Contains(line, bad) && ours(line) && !strings.HasPrefix(line, "<debug>") {
					t.Errorf("%s: %s\n%s", g.manager, line, data)
				}
			}
		}
	}
}

// ours tells whether a line of a log is about a file of ours.
func ours(line string) bool {
	return strings.Contains(line, "luna") || strings.HasPrefix(line, "ifup ")
}

// state reads what the guest has told, of the links that are wanted only.
func (g guest) state(t *testing.T, s state) state {
	t.Helper()
	got := state{addresses: map[string][]string{}, links: map[string]linkState{}}
	var addresses []struct {
		Ifname   string
		AddrInfo []struct {
			Local, Scope string
			Prefixlen    json.Number
		} `json:"addr_info"`
	}
	g.read(t, "address", &addresses)
	for _, a := range addresses {

		for _, i := range a.AddrInfo {
			if i.Scope == "global" {
				got.addresses[a.Ifname] = append(got.addresses[a.Ifname], i.Local+"/"+i.Prefixlen.String())
			}
		}
	}
	// The kernel has the newest IPv6 address first.
	for _, all := range got.addresses {
		slices.Sort(all)
	}
	for n, name := range []string{"route", "route6"} {
		var routes []struct{ Dst, Gateway, Dev string }
		g.read(t, name, &routes)
		for _, r := range routes {
			if r.Dst == "default" {
				got.routes[n] += r.Gateway + " " + r.Dev
			}
		}
	}
	for name, l := range g.links(t) {
		if w, ok := s.links[name]; ok {
			if w.MAC == "" {
				l.MAC = ""
			}
			got.links[name] = l
		}
	}
	return got
}

func (g guest) links(t *testing.T) map[string]linkState {
	t.Helper()
	var links []struct {
		Ifname, Link, Address, Master string
		MTU                           int
		Linkinfo                      struct {
			InfoKind string `json:"info_kind"`
			InfoData struct {
				ID       int
				Mode     string
				StpState int `json:"stp_state"`
			} `json:"info_data"`
		}
	}
	g.read(t, "link", &links)
	all := map[string]linkState{}
	for _, l := range links {
		all[l.Ifname] = linkState{
			MAC: l.Address, Master: l.Master, Kind: l.Linkinfo.InfoKind, Parent: l.Link, MTU: l.MTU,
			Tag: l.Linkinfo.InfoData.ID, Mode: l.Linkinfo.InfoData.Mode, STP: l.Linkinfo.InfoData.StpState,
		}
	}
	return all
}

func (g guest) read(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(g.dir, "out", name))
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		t.Fatalf("what the guest tells of its %s: %v", name, err)
	}
}
