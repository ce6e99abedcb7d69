package luna_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/secret"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	switchpollerv1 "github.com/luna-hpc/luna/proto/switchpoller/v1"
	"github.com/luna-hpc/luna/services/luna"
	switchpoller "github.com/luna-hpc/luna/services/switch-poller"
)

// macsHead is a head with a switch poller alone, whose switches have no community; what they would have said is put on the bus.
type macsHead struct {
	t         *testing.T
	srv       *natstest.Deployed
	inv, seen *bus.Conn
}

func newMACsHead(t *testing.T) *macsHead {
	dir := t.TempDir()
	srv := natstest.StartDeployed(t)
	h := &macsHead{t: t, srv: srv}
	connect := func(user string) *bus.Conn { return srv.Connect(t, user) }
	h.inv, h.seen = connect("inventory"), connect(switchpoller.Name)
	key := filepath.Join(dir, "secret.key")
	if _, err := secret.MakeKey(key); err != nil {
		t.Fatal(err)
	}
	task, err := switchpoller.New(switchpoller.Default(), run.Deps{Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Bus: connect(switchpoller.Name), SecretKey: key, Data: dir, Head: "head1"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- task.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *macsHead) within() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	h.t.Cleanup(cancel)
	return ctx
}

func (h *macsHead) put(by *bus.Conn, subj string, m proto.Message) {
	h.t.Helper()
	data, err := wire.Marshal(m)
	if err == nil {
		_, err = by.JS.Publish(h.within(), subj, data)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *macsHead) saw(id string, mac int, port string, number uint32, vlans ...uint32) {
	h.t.Helper()
	m := &switchpollerv1.Seen{SwitchId: id, Mac: fmt.Sprintf("52:54:00:00:%02x:%02x", mac>>8, mac&255), PortName: port, PortNumber: number, Vlans: vlans,
		SeenAt: "2026-05-01T12:00:00Z", ExpiresAt: "2999-05-01T12:00:00Z", Head: "head1"}
	h.put(h.seen, subject.SwitchMAC(id, strings.ReplaceAll(m.Mac, ":", "")), m)
}

// luna runs a command and returns what it printed.
func (h *macsHead) luna(args ...string) string {
	h.t.Helper()
	var out, errs strings.Builder
	args = append(args, "--nats", h.srv.ClientURL(), "--creds", h.srv.KeyFile("operator"))
	if status := luna.Main(args, strings.NewReader(""), &out, &errs); status != 0 {
		return fmt.Sprintf("status %d: %s", status, errs.String())
	}
	return out.String()
}

// until runs a command until it prints something.
func (h *macsHead) until(want func(out string) bool, args ...string) string {
	h.t.Helper()
	end := h.within()
	for {
		out := h.luna(args...)
		if want(out) {
			return out
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-end.Done():
			h.t.Fatalf("luna %s says\n%.4000s", strings.Join(args, " "), out)
		}
	}
}

const macsTable = `
┌──────────┬───────┬────────┬───────────────────┬───────┬─────────┬────────────┐
│ SWITCH   │ PORT  │ NUMBER │ MAC               │ VLANS │ NODE    │ CONFIGURED │
├──────────┼───────┼────────┼───────────────────┼───────┼─────────┼────────────┤
│ switch01 │ ge9   │      3 │ 52:54:00:00:00:04 │       │         │            │
│ switch01 │ ge9   │      3 │ 52:54:00:00:00:05 │       │         │            │
│ switch01 │ ge10  │     12 │ 52:54:00:00:00:01 │ 10 20 │ node001 │ node002    │
│ switch02 │ Te1/1 │      5 │ 52:54:00:00:00:03 │ 10    │         │ node003    │
└──────────┴───────┴────────┴───────────────────┴───────┴─────────┴────────────┘
`

func TestListmacs(t *testing.T) {
	h := newMACsHead(t)
	h.put(h.inv, subject.Object("switch", "S2"), &inventoryv1.Switch{Id: "S2", Name: "switch01", Ip: "127.0.0.1", Version: "2c"})
	h.put(h.inv, subject.Object("switch", "S1"), &inventoryv1.Switch{Id: "S1", Name: "switch02", Ip: "127.0.0.1", Version: "2c"})
	for i, n := range []*inventoryv1.Node{{Mac: "52:54:00:00:00:01"}, {SwitchId: "S2", Port: "ge10"}, {SwitchId: "S1", Port: "5"}} {
		n.Id, n.Name = fmt.Sprint("N", i), fmt.Sprintf("node%03d", i+1)
		h.put(h.inv, subject.Object("node", n.Id), n)
	}
	h.saw("S1", 3, "Te1/1", 5, 10)
	h.saw("S2", 1, "ge10", 12, 10, 20)
	h.saw("S2", 5, "ge9", 3)
	h.saw("S2", 4, "ge9", 3)
	rows := func(n int) func(string) bool {
		return func(out string) bool { return strings.Count(out, "52:54:") == n && !strings.HasPrefix(out, "status") }
	}
	if diff := cmp.Diff(macsTable[1:], h.until(rows(4), "cluster", "listmacs")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	const row = `{"configured":"node003","seen":{"expires_at":"2999-05-01T12:00:00Z","head":"head1","mac":"52:54:00:00:00:03","port_name":"Te1/1","port_number":5,"seen_at":"2026-05-01T12:00:00Z","switch_id":"S1","vlans":[10]},"switch":"switch02"}`
	if out := h.luna("cluster", "listmacs", "--output", "json"); !strings.HasSuffix(strings.Join(strings.Fields(out), ""), row+"]}") || strings.Index(out, "switch01") > strings.Index(out, "switch02") {
		t.Errorf("%s", out)
	}
	if out := h.luna("cluster", "listmacs", "--output", "yaml"); strings.Count(out, "port_name: ge9") != 2 {
		t.Errorf("%s", out)
	}
}

// TestListmacsOfManyPages has more MACs than one answer holds.
func TestListmacsOfManyPages(t *testing.T) {
	const macs = 2300
	h := newMACsHead(t)
	h.put(h.inv, subject.Object("switch", "S1"), &inventoryv1.Switch{Id: "S1", Name: "switch01", Ip: "127.0.0.1", Version: "2c"})
	for n := range macs {
		h.saw("S1", n, fmt.Sprint("ge", n%48), uint32(n%48+1), 10)
	}
	h.until(func(out string) bool { return strings.Count(out, "52:54:00:00:") == macs }, "cluster", "listmacs")
}
