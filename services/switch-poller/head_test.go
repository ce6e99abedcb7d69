package switchpoller

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

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
	"github.com/luna-hpc/luna/services/switch-poller/internal/fdb"
	"github.com/luna-hpc/luna/services/switch-poller/internal/snmptest"
)

// community is the secret under the id "read".
const community = "room 7"

// head is a head with a switch poller.
type head struct {
	t   *testing.T
	srv *natstest.Server // nil when the bus is another one
	// connect makes a connection of a user of the bus.
	connect    func(user string) *bus.Conn
	inv, other *bus.Conn
	key        secret.Key
	secretKey  string // file
	data       string
	cfg        Config
	metrics    *prometheus.Registry
	stop       func()
}

// newHead makes a head whose service is not started; switches have the port of the socket.
func newHead(t *testing.T, port int) *head {
	srv := natstest.Start(t)
	h := furnish(t, port, func(user string) *bus.Conn { return srv.Connect(t, user) })
	h.srv = srv
	return h
}

// furnish makes a head on a bus that has its streams.
func furnish(t *testing.T, port int, connect func(user string) *bus.Conn) *head {
	h := &head{t: t, connect: connect, data: t.TempDir(), cfg: Default()}
	h.cfg.Port = uint16(port)
	h.inv, h.other = connect("inventory"), connect("operator")
	h.secretKey = filepath.Join(h.data, "secret.key")
	var err error
	if h.key, err = secret.MakeKey(h.secretKey); err != nil {
		t.Fatal(err)
	}
	h.secret("read", community)
	return h
}

// brisk makes rounds follow each other quickly.
func (h *head) brisk() {
	h.cfg.Interval, h.cfg.Timeout = 50*time.Millisecond, 200*time.Millisecond
}

func (h *head) secret(id, text string) {
	h.t.Helper()
	data, err := h.key.Seal(id, []byte(text))
	if err == nil {
		_, err = h.inv.JS.Publish(within(h.t), subject.Secret(id), data)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *head) object(noun, id string, m proto.Message) {
	h.t.Helper()
	var data []byte
	var err error
	if m != nil {
		data, err = wire.Marshal(m)
	}
	if err == nil {
		_, err = h.inv.JS.Publish(within(h.t), subject.Object(noun, id), data)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// addSwitch adds a switch with the community, unless change says otherwise.
func (h *head) addSwitch(name, ip string, change ...func(*inventoryv1.Switch)) {
	h.t.Helper()
	sw := &inventoryv1.Switch{Id: "id-" + name, Name: name, Ip: ip, ReadId: "read", Version: "2c", Oid: fdb.QBridgePort}
	for _, c := range change {
		c(sw)
	}
	h.object("switch", sw.Id, sw)
}

func (h *head) start() {
	h.t.Helper()
	conn := h.connect(Name)
	h.metrics = prometheus.NewRegistry()
	task, err := New(h.cfg, run.Deps{Log: slog.New(slog.DiscardHandler), Metrics: h.metrics, Bus: conn, SecretKey: h.secretKey, Data: h.data, Head: "head1"})
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- task.Run(ctx) }()
	stopped := false
	h.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
		conn.Close() // as the end of the process does
	}
	h.t.Cleanup(h.stop)
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// until asks again until something is so; the test fails when it never is.
func (h *head) until(what string, so func() bool) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	for !so() {
		select {
		case <-ctx.Done():
			rows := h.rows()
			h.t.Fatalf("never: %s; it is\n%d rows %.2000v\n%.5000v", what, len(rows), fmt.Sprint(rows), fmt.Sprint(h.polled()))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// rows returns what mac.list says, page by page; nil when nobody answers.
func (h *head) rows() map[string]string {
	all := map[string]string{}
	for after := ""; ; {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		rep, err := bus.Request(ctx, h.other, subject.Command(Name, "mac", "list"), &switchpollerv1.ListMacsRequest{After: after}, &switchpollerv1.ListMacsReply{})
		cancel()
		if err != nil {
			return nil
		}
		for _, r := range rep.Rows {
			all[r.Switch+" "+r.Seen.Mac] = fmt.Sprintf("%s/%d/%v node=%s configured=%s", r.Seen.PortName, r.Seen.PortNumber, r.Seen.Vlans, r.Node, r.Configured)
		}
		if after = rep.Next; after == "" {
			return all
		}
	}
}

// polled returns what switch.list says by name; nil when nobody answers.
func (h *head) polled() map[string]*switchpollerv1.Polled {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	rep, err := bus.Request(ctx, h.other, subject.Command(Name, "switch", "list"), &switchpollerv1.ListSwitchesRequest{}, &switchpollerv1.ListSwitchesReply{})
	if err != nil {
		return nil
	}
	all := map[string]*switchpollerv1.Polled{}
	for _, p := range rep.Switches {
		all[p.Switch] = p
	}
	return all
}

// metric returns the value of a metric of a switch, with an outcome if that is not empty; -1 when there is none.
func (h *head) metric(name, sw, outcome string) float64 {
	h.t.Helper()
	families, err := h.metrics.Gather()
	if err != nil {
		h.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if f.GetName() == "luna_switch_poller_"+name && labels["switch"] == sw && labels["outcome"] == outcome {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return -1
}

func mac(n int) fdb.MAC {
	return fdb.MAC{0x52, 0x54, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

// free returns a socket on 127.0.0.1 and its port.
func free(t testing.TB) (*net.UDPConn, int) {
	conn := snmptest.Listen(t, "127.0.0.1:0")
	return conn, conn.LocalAddr().(*net.UDPAddr).Port
}
