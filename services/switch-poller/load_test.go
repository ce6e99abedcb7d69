package switchpoller

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gosnmp/gosnmp"

	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/services/switch-poller/internal/fdb"
	"github.com/luna-hpc/luna/services/switch-poller/internal/snmptest"
)

// kind is how a switch of the load behaves.
type kind struct {
	name  string
	count int
	// change is that of the simulator; nil answers well.
	change func(*gosnmp.SnmpPacket, []byte) [][]byte
	// want is in the error that is told; empty for switches that are polled well.
	want string
}

var kinds = []kind{
	{"good", 176, nil, ""},
	{"slow", 8, func(_ *gosnmp.SnmpPacket, answer []byte) [][]byte {
		time.Sleep(30 * time.Millisecond)
		return [][]byte{answer}
	}, ""},
	{"dead", 8, func(*gosnmp.SnmpPacket, []byte) [][]byte { return nil }, "timeout"},
	{"endless", 2, func(r *gosnmp.SnmpPacket, _ []byte) [][]byte {
		n, at := 0, r.Variables[0].Name
		if at == fdb.QBridgePort {
			at += ".0"
		}
		fmt.Sscan(at[strings.LastIndexByte(at, '.')+1:], &n)
		return answers(r, gosnmp.SnmpPDU{Name: fmt.Sprintf("%s.%d", at[:strings.LastIndexByte(at, '.')], n+1), Type: gosnmp.Integer, Value: 1})
	}, "more than 2000 rows"},
	{"circle", 2, func(r *gosnmp.SnmpPacket, _ []byte) [][]byte {
		return answers(r, gosnmp.SnmpPDU{Name: fdb.QBridgePort + ".1", Type: gosnmp.Integer, Value: 1})
	}, "goes back"},
	{"garbage", 2, func(*gosnmp.SnmpPacket, []byte) [][]byte { return [][]byte{[]byte("HTTP/1.1 400\r\n\r\n")} }, "read " + fdb.QBridgePort},
	{"cut", 2, func(_ *gosnmp.SnmpPacket, answer []byte) [][]byte { return [][]byte{answer[:20]} }, "read " + fdb.QBridgePort},
}

func answers(r *gosnmp.SnmpPacket, rows ...gosnmp.SnmpPDU) [][]byte {
	out, err := (&gosnmp.SnmpPacket{Version: gosnmp.Version2c, Community: community, PDUType: gosnmp.GetResponse, RequestID: r.RequestID, Variables: rows}).MarshalMsg()
	if err != nil {
		panic(err)
	}
	return [][]byte{out}
}

// TestTwoHundredSwitchesInOneRound has 200 switches of 48 ports with 10,000 MACs; some are slow, dead or talk nonsense. All have had
// their first round before any has its second.
func TestTwoHundredSwitchesInOneRound(t *testing.T) {
	const switches, ports, macs = 200, 48, 10_000
	first, port := free(t)
	first.Close()
	h := newHead(t, port)
	// Times are long, so that a slow machine fails no count.
	h.cfg.MaxRows, h.cfg.Interval, h.cfg.Keep, h.cfg.Limit, h.cfg.Timeout = 2000, 10*time.Minute, time.Hour, 5*time.Minute, 4*time.Second
	sims, well, told := map[string]*snmptest.Switch{}, 0, 0
	for _, k := range kinds {
		for i := range k.count {
			name := fmt.Sprintf("%s%03d", k.name, i)
			s := &snmptest.Switch{Community: community, Change: k.change}
			for p := range ports {
				s.Port(p+5, p+1003, fmt.Sprint("ge", p+7))
			}
			if k.want == "" {
				well++
				for n := macs * (well - 1) / 184; n < macs*well/184; n++ {
					s.Learn(1+n%3, mac(n), 5+n%ports, 3)
					told++
				}
			}
			ip := fmt.Sprintf("127.7.%d.%d", len(sims)/100, 1+len(sims)%100)
			s.Serve(t, snmptest.Listen(t, net.JoinHostPort(ip, fmt.Sprint(port))))
			sims[name] = s
			h.addSwitch(name, ip)
		}
	}
	if len(sims) != switches || told != macs {
		t.Fatalf("%d switches with %d MACs", len(sims), told)
	}
	h.start()
	h.until("all had a round", func() bool {
		polled := h.polled()
		for _, p := range polled {
			if p.LastGood == "" && strings.Contains(p.Error, "first round") {
				return false
			}
		}
		return len(polled) == switches
	})
	for name, s := range sims {
		if n := s.Asked(fdb.QBridgePort); n != 1 && (n < 1 || n > 1+h.cfg.Retries || h.metric("polls_total", name, "failed") != 1) {
			t.Errorf("%s was asked %d times", name, n)
		}
	}
	polled := h.polled()
	for _, k := range kinds {
		for i := range k.count {
			p := polled[fmt.Sprintf("%s%03d", k.name, i)]
			if !strings.Contains(p.Error, k.want) || (p.Error == "") != (k.want == "") || (p.Macs > 0) != (k.want == "") || len(p.Error) > 400 {
				t.Errorf("%v", p)
			}
		}
	}
	// The stream is counted first: to list 10,000 rows again and again would take the time that they need.
	stream, err := h.other.JS.Stream(within(t), subject.Seen)
	if err != nil {
		t.Fatal(err)
	}
	h.until("all MACs are on the bus", func() bool {
		info, err := stream.Info(within(t))
		return err == nil && info.State.Msgs >= macs
	})
	h.until("all MACs are listed", func() bool { return len(h.rows()) == macs })
	for n, rows := 0, h.rows(); n < macs; n += 997 {
		found := ""
		for key, row := range rows {
			if strings.HasSuffix(key, mac(n).String()) {
				found = row
			}
		}
		if want := fmt.Sprintf("ge%d/%d/[%d] node= configured=", n%ports+7, n%ports+5, 1+n%3); found != want {
			t.Errorf("MAC %d is at %s, not %s", n, found, want)
		}
	}
}
