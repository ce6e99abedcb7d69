package backup_test

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/broker"
	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/secret"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory"
	"github.com/luna-hpc/luna/services/luna/internal/backup"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// room is a head: its folders, and a bus with the deployed rights while one runs.
type room struct {
	backup.Places
	t   *testing.T
	srv *broker.Broker
}

// blank is a head on which nothing was done yet.
func blank(t *testing.T) *room {
	dir := t.TempDir()
	return &room{t: t, Places: backup.Places{Data: filepath.Join(dir, "data"), Etc: filepath.Join(dir, "etc")}}
}

func (r *room) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	r.t.Cleanup(cancel)
	return ctx
}

func (r *room) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// prepare does what luna-setup keys does, and starts the bus.
func (r *room) prepare() {
	r.t.Helper()
	r.must(os.MkdirAll(r.Etc, 0o755))
	r.startBus()
	creds, err := os.ReadFile(broker.KeyFile(r.keys(), "operator"))
	r.must(err)
	r.must(os.WriteFile(filepath.Join(r.Etc, "operator.creds"), creds, 0o600))
	if _, err := secret.MakeKey(filepath.Join(r.Etc, "secret.key")); err != nil {
		r.t.Fatal(err)
	}
	r.must(os.WriteFile(filepath.Join(r.Etc, "dhcp.yaml"), []byte("service: {node_lease: 3h}\n"), 0o644))
}

func (r *room) keys() string { return filepath.Join(r.Etc, "keys") }

// startBus starts the bus with the head's keys, and makes its streams.
func (r *room) startBus() {
	r.t.Helper()
	public, err := broker.Keys(r.keys())
	r.must(err)
	r.srv, err = broker.Start(broker.Options{Listen: "127.0.0.1:0", Store: filepath.Join(r.Data, "nats"), Public: public, Log: quiet})
	r.must(err)
	r.t.Cleanup(r.srv.Shutdown)
	r.must(bus.Setup(r.ctx(), r.connect("setup").JS, 1))
}

func (r *room) connect(user string) *bus.Conn {
	r.t.Helper()
	c, err := bus.Connect(bus.Options{URL: r.srv.ClientURL(), User: user, KeyFile: broker.KeyFile(r.keys(), user), Log: quiet})
	r.must(err)
	r.t.Cleanup(c.Close)
	for range 500 {
		if c.Up() == nil {
			return c
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.t.Fatal(c.Up())
	return nil
}

// run runs a task until the test ends or stop is called.
func (r *room) run(task run.Task) (stop func()) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done, stopped := make(chan error, 1), false
	go func() { done <- task.Run(ctx) }()
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	}
	r.t.Cleanup(stop)
	for range 1000 {
		if task.Ready() == nil {
			return stop
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.t.Fatal(task.Ready())
	return stop
}

func (r *room) inventory() {
	r.t.Helper()
	task, err := inventory.New(inventory.Default(), run.Deps{Log: quiet, Metrics: prometheus.NewRegistry(), Bus: r.connect("inventory"),
		SecretKey: filepath.Join(r.Etc, "secret.key"), Data: r.Data, Head: "head1"})
	r.must(err)
	r.run(task)
	op := r.connect("operator")
	for range 500 { // until the endpoints are there
		if _, err = bus.Request(r.ctx(), op, subject.Command("inventory", "history", "list"), &inventoryv1.HistoryRequest{}, &inventoryv1.HistoryReply{}); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.t.Fatal(err)
}

func (r *room) do(op *bus.Conn, noun, verb string, req proto.Message) {
	r.t.Helper()
	_, err := bus.Request(r.ctx(), op, subject.Command("inventory", noun, verb), req, &inventoryv1.ChangeReply{})
	r.must(err)
}

// nodes returns what node list answers, by id.
func (r *room) nodes() map[string]*inventoryv1.Node {
	r.t.Helper()
	rep, err := bus.Request(r.ctx(), r.connect("operator"), subject.Command("inventory", "node", "list"), &inventoryv1.ListRequest{}, &inventoryv1.ListReply{})
	r.must(err)
	if rep.Next != "" {
		r.t.Fatal("the list has more pages")
	}
	all := map[string]*inventoryv1.Node{}
	for _, o := range rep.Objects {
		all[o.GetNode().Id] = o.GetNode()
	}
	return all
}

// box is the outbox of a service that answers for it and publishes nothing.
func (r *room) box(service, head string, entries ...outbox.Entry) (stop func()) {
	r.t.Helper()
	dir := filepath.Join(r.Data, service)
	if head != "head1" {
		dir = r.t.TempDir() // another head's
	}
	r.must(os.MkdirAll(dir, 0o700))
	conn := r.connect(service)
	box, err := outbox.Open(filepath.Join(dir, "outbox.db"), conn, quiet, nil)
	r.must(err)
	r.must(box.Put(entries...))
	stop = r.run(bus.NewService(conn, service, "a service with an outbox", box.Endpoint(head)))
	r.must(conn.NATS.Flush())
	return stop
}

// entries returns what waits in an outbox file that nobody has open.
func (r *room) entries(service string) []outbox.Entry {
	r.t.Helper()
	var all []outbox.Entry
	r.must(outbox.ReadFile(filepath.Join(r.Data, service, "outbox.db"), func(e outbox.Entry) { all = append(all, e) }))
	return all
}

// released packs a small image and publishes its release.
func (r *room) released(name, text string) *imagepackerv1.Release {
	r.t.Helper()
	rel, files := r.pack(name, text)
	packer := r.connect("image-packer")
	store, err := packer.JS.ObjectStore(r.ctx(), subject.Files)
	r.must(err)
	for d, data := range files {
		_, err := store.PutBytes(r.ctx(), d.Hex(), data)
		r.must(err)
	}
	r.publish(packer, subject.Release("O-"+name), releases(name, rel))
	return rel
}

func releases(name string, rel *imagepackerv1.Release) *imagepackerv1.Releases {
	return &imagepackerv1.Releases{OsimageId: "O-" + name, Current: rel.Manifest, Releases: []*imagepackerv1.Release{rel}}
}

// pack makes a release and leaves its files where image-packer does.
func (r *room) pack(name, text string) (*imagepackerv1.Release, map[release.Digest][]byte) {
	r.t.Helper()
	tree, payload := r.t.TempDir(), filepath.Join(r.Data, "payload")
	r.must(os.MkdirAll(payload, 0o700))
	r.must(os.WriteFile(filepath.Join(tree, "motd"), []byte(text), 0o644))
	m, err := release.Pack(r.ctx(), release.Options{Tree: tree, PayloadDir: payload, KernelVersion: "6.1.0"})
	r.must(err)
	torrent, _, err := release.Torrent(m, payload)
	r.must(err)
	manifest, err := m.Encode()
	r.must(err)
	files := map[release.Digest][]byte{}
	add := func(data []byte) string {
		d := release.DigestOf(data)
		files[d] = data
		file := filepath.Join(r.Data, "image-packer", "files", d.Hex())
		r.must(os.MkdirAll(filepath.Dir(file), 0o700))
		r.must(os.WriteFile(file, data, 0o600))
		return d.String()
	}
	return &imagepackerv1.Release{Osimage: name, Head: "head1", Manifest: add(manifest), Torrent: add(torrent),
		Kernel: add([]byte("kernel of " + name)), Initrd: add([]byte(strings.Repeat("initrd of "+name, 50000)))}, files
}

func (r *room) publish(by *bus.Conn, subj string, m proto.Message) {
	r.t.Helper()
	data, err := wire.Marshal(m)
	r.must(err)
	_, err = by.JS.Publish(r.ctx(), subj, data)
	r.must(err)
}

// backup makes a backup of the head.
func (r *room) backup(file string, change func(*backup.Backup)) (*backup.Manifest, error) {
	r.t.Helper()
	b := &backup.Backup{Places: r.Places, File: file, Head: "head1", Setup: r.connect("setup"), Operator: r.connect("operator"),
		Timeout: 10 * time.Second, Note: func(s string) { r.t.Log(s) }}
	if change != nil {
		change(b)
	}
	return b.Run(r.ctx())
}

// restore restores onto the head: over its bus, or without one when none runs.
func (r *room) restore(file string, change func(*backup.Restore)) (*backup.Done, error) {
	r.t.Helper()
	stop := func() error { return nil }
	res := &backup.Restore{Places: r.Places, File: file, Note: func(s string) { r.t.Log(s) },
		Connect: func(ctx context.Context, staged backup.Places) (*bus.Conn, error) {
			if r.srv != nil {
				if _, err := r.SetupKeyOr(staged); err != nil {
					return nil, err
				}
				return r.connect("setup"), nil
			}
			conn, end, err := r.Offline()
			if err == nil {
				stop = end
			}
			return conn, err
		}}
	if change != nil {
		change(res)
	}
	done, err := res.Run(r.ctx())
	r.must(stop())
	return done, err
}

// stored is one message of a stream.
type stored struct {
	subject, data string
	header        nats.Header
	time          time.Time
}

// messages reads a whole stream up to a sequence, 0 being its end.
func (r *room) messages(name string, last uint64) map[uint64]stored {
	r.t.Helper()
	conn := r.connect("setup")
	s, err := conn.JS.Stream(r.ctx(), name)
	r.must(err)
	state := s.CachedInfo().State
	if last == 0 {
		last = state.LastSeq
	}
	all := map[uint64]stored{}
	for seq := state.FirstSeq; seq <= last && state.Msgs > 0; seq++ {
		m, err := s.GetMsg(r.ctx(), seq)
		if err == nil {
			all[seq] = stored{m.Subject, string(m.Data), m.Header, m.Time}
		} else if !isGone(err) {
			r.t.Fatal(err)
		}
	}
	return all
}

func isGone(err error) bool { return strings.Contains(err.Error(), jetstream.ErrMsgNotFound.Error()) }

// files lists the files below a folder with their modes.
func (r *room) files(dir string) map[string]os.FileMode {
	r.t.Helper()
	all := map[string]os.FileMode{}
	r.must(filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		name, _ := filepath.Rel(dir, path)
		all[name] = info.Mode()
		return err
	}))
	return all
}

// allBoxes starts all services that have outboxes, with nothing in them.
func (r *room) allBoxes() {
	for _, s := range backup.Services {
		r.box(s, "head1")
	}
}

// damage writes a copy of a file with a change.
func (r *room) damage(file string, change func([]byte) []byte) string {
	r.t.Helper()
	data, err := os.ReadFile(file)
	r.must(err)
	to := filepath.Join(r.t.TempDir(), "damaged")
	r.must(os.WriteFile(to, change(slices.Clone(data)), 0o600))
	return to
}
