package power

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/hostlist"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/secret"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
	powerv1 "github.com/luna-hpc/luna/proto/power/v1"
)

const user, password, another = "ladmin", "c0rrect-h0rse", "wr0ng-h0rse"

// rack is a bus with the deployed rights, a power service, and who asks it.
type rack struct {
	t         *testing.T
	ctx       context.Context
	key       secret.Key
	inventory *bus.Conn
	operator  *bus.Conn
	setup     *bus.Conn
	start     func()
	stop      func()
	log       *safeBuffer
	// raw is every message about jobs.
	raw *safeBuffer
}

// safeBuffer is a buffer for several goroutines.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// newRack has a bus on which everybody has the rights that they have on a head.
func newRack(t *testing.T, cfg Config) *rack {
	t.Helper()
	srv := natstest.StartDeployed(t)
	return furnish(t, cfg, func(user string) *bus.Conn { return srv.Connect(t, user) })
}

// furnish puts a running service onto a bus.
func furnish(t *testing.T, cfg Config, connect func(user string) *bus.Conn) *rack {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	r := &rack{t: t, ctx: ctx, log: &safeBuffer{}, raw: &safeBuffer{}, setup: connect("setup"), inventory: connect("inventory"), operator: connect("operator")}
	if err := bus.Setup(ctx, r.setup.JS, 1); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var err error
	if r.key, err = secret.MakeKey(filepath.Join(dir, "secret.key")); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.start = func() {
		task, err := New(cfg, run.Deps{Log: log, Bus: connect(Name), SecretKey: filepath.Join(dir, "secret.key"), Data: dir, Head: "head", Metrics: prometheus.NewRegistry()})
		if err != nil {
			t.Fatal(err)
		}
		r.run(task)
	}
	r.start()
	t.Cleanup(func() { r.stop(); r.keepsPasswords() })
	return r
}

// run runs the service until stop is called.
func (r *rack) run(task run.Task) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- task.Run(ctx) }()
	r.stop = func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	}
	r.until("the service is ready", func() bool { return task.Ready() == nil })
}

// keepsPasswords looks for passwords where none may be.
func (r *rack) keepsPasswords() {
	for what, text := range map[string]string{"the log": r.log.String(), "a job": r.raw.String()} {
		for _, word := range []string{password, another} {
			if strings.Contains(text, word) {
				r.t.Errorf("%s has the password %s in it", what, word)
			}
		}
	}
}

func (r *rack) until(what string, is func() bool) {
	r.t.Helper()
	for !is() {
		select {
		case <-r.ctx.Done():
			r.t.Fatalf("not in time: %s\n%s", what, r.log)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// put publishes objects as the inventory would.
func (r *rack) put(objects ...proto.Message) {
	r.t.Helper()
	for _, m := range objects {
		noun, _ := catalog.Unwrap(catalog.Wrap(m))
		data, err := wire.Marshal(m)
		if err != nil {
			r.t.Fatal(err)
		}
		if _, err := r.inventory.JS.Publish(r.ctx, subject.Object(string(noun), m.(interface{ GetId() string }).GetId()), data); err != nil {
			r.t.Fatal(err)
		}
	}
}

// seal publishes a secret.
func (r *rack) seal(id, text string) {
	r.t.Helper()
	data, err := r.key.Seal(id, []byte(text))
	if err == nil {
		_, err = r.inventory.JS.Publish(r.ctx, subject.Secret(id), data)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// compute puts a group whose nodes have controllers at the addresses.
func (r *rack) compute(protocol string, addresses ...string) {
	r.t.Helper()
	r.seal("P1", password)
	r.put(&inventoryv1.Bmcsetup{Id: "B1", Name: "base", User: user, PasswordId: "P1", Protocol: protocol},
		&inventoryv1.Group{Id: "G1", Name: "compute", BmcsetupId: "B1"})
	for i, a := range addresses {
		name := "node00" + string(rune('1'+i))
		r.put(&inventoryv1.Node{Id: "N" + name, Name: name, GroupId: "G1", Addresses: []*inventoryv1.NodeAddress{{Interface: catalog.BMC, NetworkId: "T", Address: a}}})
	}
}

// begin sends a command as the operator.
func (r *rack) begin(action string, req *powerv1.PowerRequest) (string, error) {
	rep, err := bus.Request(r.ctx, r.operator, subject.Command(Name, "node", action), req, &jobv1.JobReply{})
	return rep.JobId, err
}

// job follows a job to its end.
func (r *rack) job(id string) *jobv1.Job {
	r.t.Helper()
	j := &jobv1.Job{}
	r.until("the job ends", func() bool {
		stream, err := r.operator.JS.Stream(r.ctx, subject.Jobs)
		if err != nil {
			return false
		}
		msg, err := stream.GetLastMsgForSubject(r.ctx, subject.Job(Name, id))
		if err != nil {
			return false
		}
		_, _ = r.raw.Write(msg.Data) // cannot fail
		j = &jobv1.Job{}
		if err := wire.Event(msg.Data, j); err != nil {
			r.t.Fatal(err)
		}
		return j.State != jobv1.State_STATE_RUNNING
	})
	return j
}

// do sends a command for a host list, and returns the results in the order of the names.
func (r *rack) do(action, nodes string) string {
	r.t.Helper()
	id, err := r.begin(action, &powerv1.PowerRequest{Nodes: []string{nodes}})
	if err != nil {
		r.t.Fatal(err)
	}
	j := r.job(id)
	if j.State != jobv1.State_STATE_DONE {
		r.t.Fatal(j)
	}
	slices.SortFunc(j.Results, func(a, b *jobv1.Result) int { return hostlist.Compare(a.Name, b.Name) })
	return text(j.Results)
}

func text(results []*jobv1.Result) string {
	lines := make([]string, len(results))
	for i, res := range results {
		lines[i] = res.Name + ": " + res.Text + res.Error
		if res.ErrorCode != 0 {
			lines[i] += " (" + fault.FromCode(int(res.ErrorCode)).String() + ")"
		}
	}
	return strings.Join(lines, "\n")
}

func (r *rack) want(got, want string) {
	r.t.Helper()
	if got != strings.TrimSpace(want) {
		r.t.Errorf("got\n%s\nwant\n%s", got, strings.TrimSpace(want))
	}
}
