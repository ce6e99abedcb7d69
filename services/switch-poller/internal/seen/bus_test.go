package seen

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	switchpollerv1 "github.com/luna-hpc/luna/proto/switchpoller/v1"
)

// site is a bus with a state that follows it.
type site struct {
	t     *testing.T
	srv   *natstest.Server
	conn  *bus.Conn
	state *projection.State
}

func open(t *testing.T) *site {
	srv := natstest.Start(t)
	s := &site{t: t, srv: srv, conn: srv.Connect(t, "switch-poller")}
	var err error
	s.state, err = projection.Open(filepath.Join(t.TempDir(), "s.db"), s.conn, slog.New(slog.DiscardHandler), catalog.Fold(catalog.Switch, catalog.Node), Fold())
	if err != nil {
		t.Fatal(err)
	}
	s.run(s.state.Run)
	return s
}

// run runs a task until the test ends.
func (s *site) run(do func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	})
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// put publishes a message, and waits until the state has it.
func (s *site) put(stream, subj string, m proto.Message) {
	s.t.Helper()
	data, err := wire.Marshal(m)
	if err == nil {
		s.raw(stream, subj, data)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) raw(stream, subj string, data []byte) {
	s.t.Helper()
	ack, err := s.conn.JS.Publish(within(s.t), subj, data)
	if err == nil {
		err = s.state.WaitFor(within(s.t), stream, ack.Sequence)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) see(id, mac string, until time.Time, change ...func(*switchpollerv1.Seen)) {
	m := &switchpollerv1.Seen{SwitchId: id, Mac: mac, PortName: "ge3", PortNumber: 7, SeenAt: stamp(time.Now()), ExpiresAt: stamp(until)}
	for _, c := range change {
		c(m)
	}
	s.put(subject.Seen, subject.SwitchMAC(id, plainMAC(mac)), m)
}

func (s *site) list(r *switchpollerv1.ListMacsRequest) (rep *switchpollerv1.ListMacsReply, err error) {
	err = s.state.View(func(tx *projection.Tx) error {
		rep, err = List(tx, r, time.Now())
		return err
	})
	return rep, err
}

func (s *site) object(noun, id string, m proto.Message) {
	s.put(subject.Inventory, subject.Object(noun, id), m)
}

func lines(rep *switchpollerv1.ListMacsReply) []string {
	var all []string
	for _, r := range rep.GetRows() {
		all = append(all, fmt.Sprintf("%s %s %d %s node=%s configured=%s", r.Switch, r.Seen.PortName, r.Seen.PortNumber, r.Seen.Mac, r.Node, r.Configured))
	}
	return all
}

func TestRowsAreJoinedWithTheInventory(t *testing.T) {
	s, soon := open(t), time.Now().Add(time.Hour)
	s.object("switch", "S1", &inventoryv1.Switch{Id: "S1", Name: "switch01"})
	s.object("switch", "S2", &inventoryv1.Switch{Id: "S2", Name: "switch02"})
	for i, n := range []*inventoryv1.Node{
		{Name: "node001", Mac: "52:54:00:00:00:01", SwitchId: "S1", Port: "ge3"},
		{Name: "node002", Mac: "52:54:00:00:00:02"},
		{Name: "node003", SwitchId: "S2", Port: "8"},
		{Name: "node004", SwitchId: "S2", Port: "7"}, // as number 7; but a port named ge3 is node005's
		{Name: "node005", SwitchId: "S2", Port: "ge3"},
	} {
		n.Id = fmt.Sprint("N", i)
		s.object("node", n.Id, n)
	}
	s.see("S1", "52:54:00:00:00:01", soon)
	s.see("S1", "52:54:00:00:00:02", soon, func(m *switchpollerv1.Seen) { m.PortName, m.PortNumber = "ge1", 1 })
	s.see("S1", "52:54:00:00:00:03", time.Now())                   // over
	s.see("gone", "52:54:00:00:00:01", soon)                       // on a switch that is gone
	s.raw(subject.Seen, subject.SwitchMAC("S1", "x"), []byte("?")) // no sighting
	s.see("S2", "52:54:00:00:00:02", soon)
	s.see("S2", "52:54:00:00:00:04", soon, func(m *switchpollerv1.Seen) { m.PortName, m.PortNumber = "", 8 })
	s.see("S2", "52:54:00:00:00:05", soon, func(m *switchpollerv1.Seen) { m.PortName = "ge9" })
	want := []string{
		"switch01 ge3 7 52:54:00:00:00:01 node=node001 configured=node001",
		"switch01 ge1 1 52:54:00:00:00:02 node=node002 configured=",
		"switch02 ge3 7 52:54:00:00:00:02 node=node002 configured=node005",
		"switch02  8 52:54:00:00:00:04 node= configured=node003",
		"switch02 ge9 7 52:54:00:00:00:05 node= configured=node004",
	}
	rep, err := s.list(&switchpollerv1.ListMacsRequest{})
	if err != nil || rep.Next != "" || !slices.Equal(lines(rep), want) {
		t.Errorf("%v, next %q:\n%s", err, rep.GetNext(), strings.Join(lines(rep), "\n"))
	}
	var paged []string
	for after, pages := "", 0; ; pages++ {
		rep, err := s.list(&switchpollerv1.ListMacsRequest{Limit: 2, After: after})
		if err != nil || len(rep.Rows) > 2 || pages > 2 {
			t.Fatalf("page %d: %v, %v", pages, rep, err)
		}
		paged = append(paged, lines(rep)...)
		if after = rep.Next; after == "" {
			break
		}
	}
	if !slices.Equal(paged, want) {
		t.Errorf("in pages:\n%s", strings.Join(paged, "\n"))
	}
	for _, bad := range []string{"S1", "S1.x", "*.525400000001", "S1.525400000001.", "S1.52:54:00:00:00:01"} {
		if _, err := s.list(&switchpollerv1.ListMacsRequest{After: bad}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("after %q: %v", bad, err)
		}
	}
	s.raw(subject.Seen, subject.SwitchMAC("S1", "525400000001"), nil) // its end
	if rep, err := s.list(&switchpollerv1.ListMacsRequest{Limit: 1}); err != nil || !slices.Equal(lines(rep), want[1:2]) {
		t.Errorf("%v %v", lines(rep), err)
	}
}

// TestPagesStayBelowAMegabyte lists rows of which each is as big as they come.
func TestPagesStayBelowAMegabyte(t *testing.T) {
	s := open(t)
	s.object("switch", "S1", &inventoryv1.Switch{Id: "S1", Name: "switch01"})
	const all = 100
	for i := range all {
		s.see("S1", fmt.Sprintf("52:54:00:00:00:%02x", i), time.Now().Add(time.Hour), func(m *switchpollerv1.Seen) {
			for v := range uint32(4094) {
				m.Vlans = append(m.Vlans, v+1)
			}
		})
	}
	rows := 0
	for after, pages := "", 0; ; pages++ {
		rep, err := s.list(&switchpollerv1.ListMacsRequest{After: after})
		if err != nil || pages == all {
			t.Fatalf("page %d: %v", pages, err)
		}
		if data, err := wire.Marshal(rep); err != nil || len(data) > 1<<20 {
			t.Fatalf("a page of %d bytes: %v", len(data), err)
		}
		rows += len(rep.Rows)
		if after = rep.Next; after == "" {
			break
		}
	}
	if rows != all {
		t.Errorf("%d rows", rows)
	}
}
