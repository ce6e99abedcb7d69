package backup_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/luna-hpc/luna/pkg/broker"
	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/services/luna/internal/backup"
)

// cluster starts the servers of three heads, as processes of their own, makes the streams, and returns a server's URL.
func cluster(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "nats-server")
	build := exec.CommandContext(t.Context(), testenv.Program(t, "go"), "build", "-buildvcs=false", "-o", program, "github.com/nats-io/nats-server/v2")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build nats-server: %v\n%s", err, out)
	}
	ports := testenv.FreePorts(t, 6)
	var routes []string
	for _, port := range ports[3:] {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", port))
	}
	for i, port := range ports[:3] {
		dir := t.TempDir()
		conf := filepath.Join(dir, "nats.conf")
		text := fmt.Sprintf("server_name: luna-%d\nlisten: \"127.0.0.1:%d\"\nmax_payload: %d\njetstream { store_dir: %q }\n"+
			"cluster { name: luna, listen: \"127.0.0.1:%d\", routes: [%s] }\n", i, port, broker.MaxPayload, dir, ports[3+i], strings.Join(routes, ", "))
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		srv := exec.CommandContext(t.Context(), program, "-c", conf, "-l", filepath.Join(dir, "log"))
		if err := srv.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = srv.Process.Kill(); _ = srv.Wait() })
	}
	url := fmt.Sprintf("nats://127.0.0.1:%d", ports[0])
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := bus.SetupWhenUp(ctx, open(t, url, "setup"), 3); err != nil {
		t.Fatal(err)
	}
	return url
}

func open(t *testing.T, url, user string) *bus.Conn {
	t.Helper()
	c, err := bus.Connect(bus.Options{URL: url, User: user, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestThreeHeadsAreTakenBack copies the streams of a cluster and restores them there.
func TestThreeHeadsAreTakenBack(t *testing.T) {
	url := cluster(t)
	c := open(t, url, "bootscript")
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
		b.Setup, b.Operator, b.Without = open(t, url, "setup"), open(t, url, "operator"), backup.Services
	})
	r.must(err)
	publish(250)
	done, err := r.restore(file, func(res *backup.Restore) {
		res.Overwrite = true
		res.Connect = func(context.Context, backup.Places) (*bus.Conn, error) { return open(t, url, "setup"), nil }
	})
	r.must(err)
	if done.Restored != len(m.Streams) || len(m.Streams) != 7 {
		t.Errorf("%d of %d streams", done.Restored, len(m.Streams))
	}
	if diff := cmp.Diff(want, content()); diff != "" {
		t.Errorf("%d messages; the stream differs:\n%s", len(want), diff)
	}
}
