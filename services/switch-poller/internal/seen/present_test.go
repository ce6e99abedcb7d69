package seen

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	switchpollerv1 "github.com/luna-hpc/luna/proto/switchpoller/v1"
	"github.com/luna-hpc/luna/services/switch-poller/internal/fdb"
)

// tables is a source whose tables the test sets.
type tables struct {
	mu   sync.Mutex
	all  []Table
	news chan struct{}
}

func (s *tables) Tables() []Table {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}

func (s *tables) News() <-chan struct{} { return s.news }

func (s *tables) set(all ...Table) {
	s.mu.Lock()
	s.all = all
	s.mu.Unlock()
	s.news <- struct{}{}
}

// table is a round of now in which a MAC was on a port.
func table(id string, last byte, port uint32) Table {
	return Table{SwitchID: id, At: time.Now(), MACs: []fdb.Learned{{MAC: fdb.MAC{0x52, 0x54, 0, 0, 0, last}, Port: fdb.Port{Number: port, Name: fmt.Sprint("ge", port+10)}, VLANs: []uint32{4}}}}
}

func (s *site) present(keep time.Duration) *tables {
	src := &tables{news: make(chan struct{}, 9)}
	p := &Presenter{State: s.state, Conn: s.conn, Source: src, Keep: keep, Head: "head1", Log: slog.New(slog.DiscardHandler),
		Told: prometheus.NewCounter(prometheus.CounterOpts{})}
	s.run(p.Run)
	return src
}

// port waits until the state has a MAC of a switch at a port, 0 for nowhere, and returns its sequence in the stream.
func (s *site) port(id, mac string, port uint32) uint64 {
	s.t.Helper()
	ctx := within(s.t)
	for {
		changed := s.state.Changed()
		var at uint32
		err := s.state.View(func(tx *projection.Tx) error {
			return each(tx, id, "", func(key string, m *switchpollerv1.Seen) bool {
				if macOf(key) == mac {
					at = m.PortNumber
				}
				return true
			})
		})
		if err == nil && at == port && port == 0 {
			return 0
		}
		if err == nil && at == port {
			return s.stored(id, mac).Sequence
		}
		select {
		case <-changed:
		case <-ctx.Done():
			s.t.Fatalf("MAC %s of %s is on port %d, not %d (%v)", mac, id, at, port, err)
		}
	}
}

func (s *site) stored(id, mac string) *jetstream.RawStreamMsg {
	s.t.Helper()
	stream, err := s.conn.JS.Stream(within(s.t), subject.Seen)
	if err != nil {
		s.t.Fatal(err)
	}
	msg, err := stream.GetLastMsgForSubject(within(s.t), subject.SwitchMAC(id, mac))
	if err != nil {
		s.t.Fatal(err)
	}
	return msg
}

func TestTheBusHearsWhatIsNew(t *testing.T) {
	s := open(t)
	src := s.present(time.Hour)
	src.set(table("S1", 1, 7))
	first := s.port("S1", "525400000001", 7)
	msg := s.stored("S1", "525400000001")
	m := &switchpollerv1.Seen{}
	if err := wire.Event(msg.Data, m); err != nil {
		t.Fatal(err)
	}
	at, until := times(m)
	if m.SwitchId != "S1" || m.Mac != "52:54:00:00:00:01" || m.PortName != "ge17" || m.Head != "head1" || len(m.Vlans) != 1 || until.Sub(at) != time.Hour {
		t.Errorf("%v", m)
	}
	if ttl, err := time.ParseDuration(msg.Header.Get("Nats-TTL")); err != nil || ttl > time.Hour || msg.Time.Add(ttl).Before(until) {
		t.Errorf("it leaves the stream after %s, %v", ttl, err)
	}
	src.set(table("S1", 1, 7), table("S2", 1, 8)) // of S1 nothing is new
	s.port("S2", "525400000001", 8)
	src.set(table("S1", 1, 9))
	if moved := s.port("S1", "525400000001", 9); moved != first+2 {
		t.Errorf("the first message is %d, the one of the move %d: something else was told", first, moved)
	}
}

func TestWhatIsOverLeavesTheBus(t *testing.T) {
	s := open(t)
	s.present(2 * time.Second).set(table("S1", 1, 7))
	s.port("S1", "525400000001", 7)
	s.port("S1", "525400000001", 0) // the stream said that it is over
}

func TestTablesArePresentedAgain(t *testing.T) {
	s := open(t)
	src := s.present(time.Hour)
	src.set(table("S1", 1, 7))
	s.port("S1", "525400000001", 7)
	s.srv.Restart(t, func() { src.set(table("S1", 2, 8), table("S2", 3, 9)) })
	s.port("S1", "525400000002", 8)
	s.port("S2", "525400000003", 9)

	// A bus that lost the stream hears all of it again.
	setup := s.srv.Connect(t, "setup")
	if err := setup.JS.DeleteStream(within(t), subject.Seen); err != nil {
		t.Fatal(err)
	}
	s.srv.Restart(t, nil)
	if err := bus.SetupWhenUp(within(t), setup, 1); err != nil {
		t.Fatal(err)
	}
	s.port("S1", "525400000001", 0) // was not in the last round
	src.set(s.again(src)...)
	s.port("S1", "525400000002", 8)
	s.port("S2", "525400000003", 9)
	s.stored("S2", "525400000003")
}

// again returns the tables as the next round finds them.
func (s *site) again(src *tables) []Table {
	all := src.Tables()
	next := make([]Table, len(all))
	for i, t := range all {
		t.At = time.Now()
		next[i] = t
	}
	return next
}
