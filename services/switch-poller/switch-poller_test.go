package switchpoller

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gosnmp/gosnmp"

	"github.com/luna-hpc/luna/pkg/config"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/switch-poller/internal/fdb"
	"github.com/luna-hpc/luna/services/switch-poller/internal/snmptest"
)

// furnished is a switch whose port numbers, interfaces and names all differ: bridge port 5 is interface 1003 and named ge7.
func furnished() *snmptest.Switch {
	s := &snmptest.Switch{Community: community}
	s.Port(5, 1003, "ge7")
	s.Port(6, 1004, "ge8")
	s.Port(7, 1005, "Te1/1")
	return s
}

func TestNodesAreFoundOnTheirPorts(t *testing.T) {
	conn, port := free(t)
	h := newHead(t, port)
	h.brisk()
	s := furnished()
	s.Serve(t, conn)
	s.Learn(10, mac(1), 5, 3)
	s.Learn(20, mac(1), 5, 3)
	s.Learn(10, mac(2), 6, 3)
	s.Learn(10, mac(3), 7, 3) // behind an uplink
	s.Learn(10, mac(4), 6, 4) // the switch's own
	h.addSwitch("sw1", "127.0.0.1", func(s *inventoryv1.Switch) { s.Uplinks = []string{"Te1/1"} })
	h.object("node", "N1", &inventoryv1.Node{Id: "N1", Name: "node001", Mac: mac(1).String(), SwitchId: "id-sw1", Port: "ge7"})
	h.object("node", "N2", &inventoryv1.Node{Id: "N2", Name: "node002", SwitchId: "id-sw1", Port: "6"})
	h.start()
	want := map[string]string{
		"sw1 52:54:00:00:00:01": "ge7/5/[10 20] node=node001 configured=node001",
		"sw1 52:54:00:00:00:02": "ge8/6/[10] node= configured=node002",
	}
	h.until("both MACs are listed", func() bool { return maps.Equal(h.rows(), want) })
	if p := h.polled()["sw1"]; p.LastGood == "" || p.Error != "" || p.Macs != 2 || p.Seconds <= 0 || p.Ip != "127.0.0.1" {
		t.Errorf("%v", p)
	}
	s.Forget(20, mac(1))
	s.Learn(10, mac(1), 6, 3)
	want["sw1 52:54:00:00:00:01"] = "ge8/6/[10] node=node001 configured=node002"
	h.until("the MAC has moved", func() bool { return maps.Equal(h.rows(), want) })
	h.addSwitch("sw1", "127.0.0.1", func(s *inventoryv1.Switch) { s.Uplinks = []string{"Te1/1"}; s.Name = "renamed" })
	h.until("the new name is known", func() bool {
		return h.metric("macs", "renamed", "") == 2 && h.metric("macs", "sw1", "") == -1 && h.metric("polls_total", "sw1", "ok") == -1
	})
	h.object("switch", "id-sw1", nil)
	h.until("the switch is gone", func() bool {
		return len(h.rows()) == 0 && len(h.polled()) == 0 && h.metric("polls_total", "renamed", "ok") == -1
	})
}

func TestWithoutACommunityNothingIsAsked(t *testing.T) {
	conn, port := free(t)
	h := newHead(t, port)
	h.brisk()
	s := furnished()
	s.Serve(t, conn)
	s.Learn(10, mac(1), 5, 3)
	bare := func(s *inventoryv1.Switch) { s.ReadId, s.RwId = "", "read" } // what may write is not what reads
	h.addSwitch("bare", "127.0.0.1", bare)
	h.addSwitch("nobody", "127.0.0.1", func(s *inventoryv1.Switch) { s.Version = "3" })
	h.addSwitch("early", "127.0.0.1", func(s *inventoryv1.Switch) { s.ReadId = "late" })
	h.start()
	says := func(name, text string) func() bool {
		return func() bool { return strings.Contains(h.polled()[name].GetError(), text) }
	}
	h.until("bare says why", says("bare", "it has no read community: luna switch change"))
	h.until("nobody says why", says("nobody", "it has no read community: luna switch change"))
	h.until("early says why", says("early", "secret late has not reached this head"))
	if got := [3]float64{h.metric("not_polled", "bare", ""), h.metric("not_polled", "nobody", ""), h.metric("not_polled", "early", "")}; got != [3]float64{1, 1, 0} {
		t.Error(got)
	}
	if n := s.Asked(fdb.QBridgePort); n != 0 {
		t.Fatalf("it was asked %d times", n)
	}
	h.cfg.Interval, h.cfg.Keep = time.Hour, 9*time.Hour // only the news of the secret and the change can wake them
	h.stop()
	h.start()
	h.until("early says why", says("early", "secret late has not reached this head"))
	h.secret("late", community)
	h.until("early is polled", func() bool { return h.polled()["early"].GetMacs() == 1 })
	h.until("bare says why", says("bare", "it has no read community"))
	h.addSwitch("bare", "127.0.0.1")
	h.until("bare is polled", func() bool { return h.polled()["bare"].GetMacs() == 1 && h.metric("not_polled", "bare", "") == 0 })
}

func TestPollingGoesOnWithoutTheBus(t *testing.T) {
	conn, port := free(t)
	h := newHead(t, port)
	h.brisk()
	s := furnished()
	s.Serve(t, conn)
	s.Learn(10, mac(1), 5, 3)
	h.addSwitch("sw1", "127.0.0.1")
	h.start()
	h.until("the MAC is listed", func() bool { return strings.HasPrefix(h.rows()["sw1 52:54:00:00:00:01"], "ge7/5/") })
	more := func() func() bool {
		n := h.metric("polls_total", "sw1", "ok")
		return func() bool { return h.metric("polls_total", "sw1", "ok") > n+1 }
	}
	h.srv.Restart(t, func() {
		h.until("it is polled", more())
		s.Learn(10, mac(1), 6, 3)
		s.Learn(10, mac(2), 5, 3)
		h.until("it is polled", more())
		h.stop()
		h.start() // from its file alone
		h.until("it is polled after a restart", more())
	})
	h.until("what was learned meanwhile is listed", func() bool {
		rows := h.rows()
		return strings.HasPrefix(rows["sw1 52:54:00:00:00:01"], "ge8/6/") && strings.HasPrefix(rows["sw1 52:54:00:00:00:02"], "ge7/5/")
	})
}

// TestTwoHeadsTellOnce lets a second head poll the same switch: the bus hears nothing, until the second sees a move first.
func TestTwoHeadsTellOnce(t *testing.T) {
	conn, port := free(t)
	h := newHead(t, port)
	h.brisk()
	s := furnished()
	s.Serve(t, conn)
	s.Learn(10, mac(1), 5, 3)
	h.addSwitch("sw1", "127.0.0.1")
	h.start()
	h.until("the MAC is listed", func() bool { return strings.HasPrefix(h.rows()["sw1 52:54:00:00:00:01"], "ge7/5/") })
	stream, err := h.other.JS.Stream(within(t), subject.Seen)
	if err != nil {
		t.Fatal(err)
	}
	last := func() uint64 {
		info, err := stream.Info(within(t))
		if err != nil {
			t.Fatal(err)
		}
		return info.State.LastSeq
	}
	told := last()
	second := *h
	second.data = t.TempDir()
	second.start()
	second.until("the second head has polled", func() bool { return second.metric("polls_total", "sw1", "ok") > 5 })
	if n := last(); n != told {
		t.Errorf("the bus heard %d events more", n-told)
	}
	h.stop()
	s.Learn(10, mac(1), 6, 3)
	second.until("the second head tells the move", func() bool { return strings.HasPrefix(second.rows()["sw1 52:54:00:00:00:01"], "ge8/6/") })
	if n := last(); n != told+1 {
		t.Errorf("a move is %d events", n-told)
	}
}

// TestNeverTwiceAtOnce lets a slow switch be changed all the time, and looks whether a round began before the last had ended.
func TestNeverTwiceAtOnce(t *testing.T) {
	conn, port := free(t)
	h := newHead(t, port)
	h.brisk()
	h.cfg.Interval, h.cfg.Repetitions, h.cfg.Timeout = time.Millisecond, 3, time.Minute
	var mu sync.Mutex
	turn, rounds, overlaps := 0, 0, 0
	s := furnished()
	s.Heard = func(r *gosnmp.SnmpPacket, from *net.UDPAddr) {
		mu.Lock()
		defer mu.Unlock()
		if r.Variables[0].Name == fdb.QBridgePort {
			turn, rounds = from.Port, rounds+1
		} else if from.Port != turn {
			overlaps++
		}
		time.Sleep(time.Millisecond) // a slow switch
	}
	s.Serve(t, conn)
	for i := range 20 {
		s.Learn(10, mac(i), 5, 3)
	}
	h.addSwitch("sw1", "127.0.0.1")
	h.start()
	h.until("30 rounds have begun", func() bool {
		h.addSwitch("sw1", "127.0.0.1")
		mu.Lock()
		defer mu.Unlock()
		return rounds > 30
	})
	mu.Lock()
	defer mu.Unlock()
	if overlaps != 0 {
		t.Errorf("%d requests of a round came after another had begun", overlaps)
	}
}

// TestStuckSwitchesHoldNobodyUp has two switches that fail, then are silent for hours, and one worker for such.
func TestStuckSwitchesHoldNobodyUp(t *testing.T) {
	conn, port := free(t)
	h := newHead(t, port)
	h.brisk()
	h.cfg.Workers, h.cfg.Timeout, h.cfg.Limit, h.cfg.Retries = 2, time.Hour, time.Hour, 0
	good := furnished()
	good.Serve(t, conn)
	good.Learn(10, mac(1), 5, 3)
	h.addSwitch("good", "127.0.0.1")
	stuck := []*snmptest.Switch{furnished(), furnished()}
	for i, s := range stuck {
		heard := 0
		s.Change = func(r *gosnmp.SnmpPacket, _ []byte) [][]byte {
			if heard++; heard > 1 {
				return nil
			}
			return answers(r, gosnmp.SnmpPDU{Name: ".1.3", Type: gosnmp.Integer, Value: 1})
		}
		ip := fmt.Sprintf("127.7.9.%d", i+1)
		s.Serve(t, snmptest.Listen(t, net.JoinHostPort(ip, fmt.Sprint(port))))
		h.addSwitch(fmt.Sprint("stuck", i), ip)
	}
	asked := func() int { return stuck[0].Asked(fdb.QBridgePort) + stuck[1].Asked(fdb.QBridgePort) }
	h.start()
	h.until("one is stuck", func() bool { return asked() == 3 })
	n := h.metric("polls_total", "good", "ok")
	h.until("the good one is polled", func() bool { return h.metric("polls_total", "good", "ok") > n+10 })
	if asked() != 3 {
		t.Errorf("both are asked, with one worker for such: %d", asked())
	}
}

func TestConfiguration(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(readme), "these are the defaults:\n")
	text, _, _ = strings.Cut(text, "\nWhat belongs")
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "\n    ", "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Service Config `yaml:"service"`
	}
	if err := config.Load(file, &got); err != nil || got.Service != Default() {
		t.Errorf("README.md says %+v, the default is %+v (%v)", got.Service, Default(), err)
	}
	for name, wrong := range map[string]func(*Config){
		"interval": func(c *Config) { c.Interval = 0 }, "limit": func(c *Config) { c.Limit = -1 }, "timeout": func(c *Config) { c.Timeout = 0 },
		"keep": func(c *Config) { c.Keep = 4*c.Interval - 1 }, "retries": func(c *Config) { c.Retries = -1 }, "workers": func(c *Config) { c.Workers = 1 },
		"port": func(c *Config) { c.Port = 0 }, "max_macs": func(c *Config) { c.MaxMACs = 0 }, "max_rows": func(c *Config) { c.MaxRows = 0 },
		"repetitions": func(c *Config) { c.Repetitions = 0 },
	} {
		c := Default()
		wrong(&c)
		if _, err := New(c, run.Deps{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
