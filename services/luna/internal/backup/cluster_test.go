package backup_test

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/luna-hpc/luna/pkg/broker"
	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/services/luna/internal/backup"
)

// cluster starts the servers of three heads and makes the streams.
func cluster(t *testing.T) *server.Server {
	t.Helper()
	var all []*server.Server
	var routes []string
	var ports []int
	var held []net.Listener
	for range 3 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, ln)
		ports = append(ports, ln.Addr().(*net.TCPAddr).Port)
		routes = append(routes, "nats://"+ln.Addr().String())
	}
	for _, ln := range held {
		if err := ln.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for i, port := range ports {
		srv, err := server.NewServer(&server.Options{ServerName: fmt.Sprintf("luna-%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true,
			MaxPayload: broker.MaxPayload, JetStream: true, StoreDir: t.TempDir(), Routes: server.RoutesFromStr(strings.Join(routes, ",")),
			Cluster: server.ClusterOpts{Name: "luna", Host: "127.0.0.1", Port: port}})
		if err != nil {
			t.Fatal(err)
		}
		go srv.Start()
		t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
		all = append(all, srv)
	}
	for _, srv := range all {
		if !srv.ReadyForConnections(20 * time.Second) {
			t.Fatal("a server is not ready")
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := bus.SetupWhenUp(ctx, open(t, all[0], "setup"), 3); err != nil {
		t.Fatal(err)
	}
	return all[0]
}

func open(t *testing.T, srv *server.Server, user string) *bus.Conn {
	t.Helper()
	c, err := bus.Connect(bus.Options{URL: srv.ClientURL(), User: user, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestThreeHeadsAreTakenBack copies the streams of a cluster and restores them there.
func TestThreeHeadsAreTakenBack(t *testing.T) {
	srv := cluster(t)
	c := open(t, srv, "bootscript")
	r := blank(t)
	r.prepare() // for its keys; its bus is not the cluster's
	publish := func(n int) {
		for i := range n {
			_, err := c.JS.Publish(r.ctx(), subject.Step("B1", "head1", fmt.Sprint(i)), []byte(fmt.Sprint(n)))
			r.must(err)
		}
	}
	content := func() map[uint64]string {
		s, err := c.JS.Stream(r.ctx(), subject.Boots)
		r.must(err)
		got := map[uint64]string{}
		for seq := s.CachedInfo().State.FirstSeq; seq <= s.CachedInfo().State.LastSeq; seq++ {
			m, err := s.GetMsg(r.ctx(), seq)
			if err == nil {
				got[seq] = m.Subject + string(m.Data)
			} else if !isGone(err) {
				t.Fatal(err)
			}
		}
		if s.CachedInfo().Config.Replicas != 3 {
			t.Errorf("%d replicas", s.CachedInfo().Config.Replicas)
		}
		return got
	}
	publish(200)
	want := content()
	file := filepath.Join(t.TempDir(), "backup")
	m, err := r.backup(file, func(b *backup.Backup) {
		b.Setup, b.Operator, b.Without = open(t, srv, "setup"), open(t, srv, "operator"), backup.Services
	})
	r.must(err)
	publish(250)
	done, err := r.restore(file, func(res *backup.Restore) {
		res.Overwrite = true
		res.Connect = func(context.Context, backup.Places) (*bus.Conn, error) { return open(t, srv, "setup"), nil }
	})
	r.must(err)
	if done.Restored != len(m.Streams) || len(m.Streams) != 7 {
		t.Errorf("%d of %d streams", done.Restored, len(m.Streams))
	}
	if diff := cmp.Diff(want, content()); diff != "" {
		t.Errorf("%d messages; the stream differs:\n%s", len(want), diff)
	}
}
