package imagepacker_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/pkg/wire"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
	imagepacker "github.com/luna-hpc/luna/services/image-packer"
)

// room is a packer with its data on a small disk, and an image to pack.
type room struct {
	*testing.T
	srv  *natstest.Deployed
	conn *bus.Conn
	data string
	tree string
	cfg  imagepacker.Config
	stop func() // ends the packer
}

// TestFullDiskFailsAPackAndNothingElse fills the disk that packs go to.
func TestFullDiskFailsAPackAndNothingElse(t *testing.T) {
	disk := testenv.SmallDisk(t, "96m")
	r := newRoom(t, disk.Dir)
	if j := r.pack(); j.State != jobv1.State_STATE_DONE {
		t.Fatalf("the first pack: %v", j)
	}
	first, files := r.releases(), r.files()
	r.write("boot/initrd.img-6.1", []byte("another")) // is stored before the payload
	r.grow("usr/share/new", 6)
	disk.Fill(5 << 20)
	for range 2 {
		j := r.pack()
		if j.State != jobv1.State_STATE_FAILED || !strings.Contains(j.Error, "no room on the disk of head head") || !strings.Contains(j.Error, "no space left") {
			t.Errorf("a pack on a full disk: %v", j)
		}
		if now := r.releases(); !proto.Equal(now, first) {
			t.Errorf("the releases were %v, are %v", first, now)
		}
		if now := r.files(); !maps.Equal(now, files) {
			t.Errorf("a failed pack leaves\n%v\nthere were\n%v", slices.Sorted(maps.Keys(now)), slices.Sorted(maps.Keys(files)))
		}
	}
	disk.Clear()
	if j := r.pack(); j.State != jobv1.State_STATE_DONE {
		t.Fatalf("a pack when there is room again: %v", j)
	}
	now := r.releases()
	if len(now.Releases) != 2 || now.Current == first.Current {
		t.Errorf("%v", now)
	}
}

func newRoom(t *testing.T, data string) *room {
	t.Helper()
	agent := filepath.Join(t.TempDir(), "agent")
	must(t, os.WriteFile(agent, nil, 0o700))
	return newRoomWith(t, data, imagepacker.Config{Agent: agent, Keep: 3})
}

func newRoomWith(t *testing.T, data string, cfg imagepacker.Config) *room {
	t.Helper()
	srv := natstest.StartDeployed(t)
	r := &room{T: t, srv: srv, conn: srv.Connect(t, "operator"), data: data, tree: filepath.Join(t.TempDir(), "image"), cfg: cfg}
	for _, f := range []string{"boot/vmlinuz-6.1", "boot/initrd.img-6.1", "lib/modules/6.1/modules.dep"} {
		r.write(f, []byte(f))
	}
	r.grow("usr/share/old", 1)
	image, err := wire.Marshal(&inventoryv1.Osimage{Id: "O", Name: "compute", Path: r.tree, Head: "head", GrabFilesystems: "/,/boot"})
	must(t, err)
	_, err = srv.Connect(t, "inventory").JS.Publish(r.within(), subject.Object("osimage", "O"), image)
	must(t, err)
	r.stop = r.start("head", data)
	return r
}

// start runs the packer of a head until the test ends, or until the returned function is called.
func (r *room) start(head, data string) (stop func()) {
	r.Helper()
	task, err := imagepacker.New(r.cfg, run.Deps{Log: slog.New(slog.DiscardHandler),
		Metrics: prometheus.NewRegistry(), Bus: r.srv.Connect(r.T, "image-packer"), Data: data, Head: head})
	must(r.T, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- task.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		must(r.T, <-ended)
	})
	r.Cleanup(stop)
	return stop
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (r *room) within() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	r.Cleanup(cancel)
	return ctx
}

func (r *room) write(name string, data []byte) {
	r.Helper()
	path := filepath.Join(r.tree, name)
	must(r.T, os.MkdirAll(filepath.Dir(path), 0o755))
	must(r.T, os.WriteFile(path, data, 0o644))
}

// grow adds files of 4 MB that cannot be compressed.
func (r *room) grow(dir string, files int) {
	r.Helper()
	for i := range files {
		data := make([]byte, 4<<20)
		rand.Read(data)
		r.write(fmt.Sprintf("%s/%d", dir, i), data)
	}
}

// pack packs the image with its own initrd and returns the ended job.
func (r *room) pack() *jobv1.Job {
	r.Helper()
	ctx := r.within()
	var rep *jobv1.JobReply
	for rep == nil {
		got, err := bus.Request(ctx, r.conn, subject.Command("image-packer", "osimage", "pack"), &imagepackerv1.PackRequest{Name: "compute", CopyBoot: true}, &jobv1.JobReply{})
		switch {
		case err == nil:
			rep = got
		case ctx.Err() != nil:
			r.Fatal(err)
		default: // it is not there yet, or its last job is just ending
			time.Sleep(10 * time.Millisecond)
		}
	}
	return r.ended(rep.JobId)
}

// ended returns a job when it has ended.
func (r *room) ended(id string) *jobv1.Job {
	r.Helper()
	ctx := r.within()
	jobs, err := r.conn.JS.OrderedConsumer(ctx, subject.Jobs, jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject.Job("image-packer", id)}})
	must(r.T, err)
	it, err := jobs.Messages()
	must(r.T, err)
	defer it.Stop()
	for {
		msg, err := it.Next(jetstream.NextContext(ctx))
		must(r.T, err)
		j := &jobv1.Job{}
		must(r.T, wire.Event(msg.Data(), j))
		if j.State != jobv1.State_STATE_RUNNING {
			return j
		}
	}
}

func (r *room) releases() *imagepackerv1.Releases {
	r.Helper()
	rep, err := bus.Request(r.within(), r.conn, subject.Command("image-packer", "release", "list"), &imagepackerv1.ReleasesRequest{Name: "compute"}, &imagepackerv1.ReleasesReply{})
	must(r.T, err)
	return rep.Releases
}

// files returns what lies on the packer's disk, with sizes, but for its
// databases and what is the test's.
func (r *room) files() map[string]int64 {
	r.Helper()
	all := map[string]int64{}
	must(r.T, filepath.WalkDir(r.data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".db") || d.Name() == "ballast" {
			return err
		}
		info, err := d.Info()
		if err == nil {
			all[path] = info.Size()
		}
		return err
	}))
	return all
}
