package backup_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/secret"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/luna/internal/backup"
)

// furnished is a head in use: described, with a secret, a release, facts that
// wait in outboxes, and a packed release that was not published yet.
func furnished(t *testing.T) (r *room, rel *imagepackerv1.Release) {
	r = blank(t)
	r.prepare()
	r.inventory()
	op := r.connect("operator")
	r.do(op, "cluster", "init", &inventoryv1.ClusterInitRequest{FrontendAddress: "10.30.255.254"})
	r.do(op, "network", "add", &inventoryv1.NetworkAddRequest{Name: "cluster", Network: "10.30.0.0", Prefix: 16})
	r.do(op, "osimage", "add", &inventoryv1.OsimageAddRequest{Name: "compute", Path: "/opt/luna/os/compute", Head: "head1"})
	r.do(op, "group", "add", &inventoryv1.GroupAddRequest{Name: "compute", Osimage: "compute", Network: "cluster"})
	r.do(op, "node", "add", &inventoryv1.NodeAddRequest{Group: "compute", Count: 20})
	r.do(op, "node", "delete", &inventoryv1.DeleteRequest{Name: "node007"})
	k, err := secret.ReadKey(filepath.Join(r.Etc, "secret.key"))
	r.must(err)
	sealed, err := k.Seal("S1", []byte("ladmin"))
	r.must(err)
	_, err = r.connect("inventory").JS.Publish(r.ctx(), subject.Secret("S1"), sealed)
	r.must(err)
	rel = r.released("compute", "welcome")

	arrived := outbox.Entry{ID: "E1", Subject: subject.Step("B1", "head1", "1"), Data: []byte("{}")}
	_, err = r.connect("bootscript").JS.Publish(r.ctx(), arrived.Subject, arrived.Data, jetstream.WithMsgID(arrived.ID))
	r.must(err)
	pending, _ := r.pack("storage", "not published yet")
	data, err := wire.Marshal(releases("storage", pending))
	r.must(err)
	r.box("dhcp", "head1", outbox.Entry{ID: "D1", Subject: subject.Lease("525400000001"), Data: []byte(`{"mac":"525400000001"}`)})
	r.box("bootscript", "head1", arrived, outbox.Entry{ID: "E2", Subject: subject.Step("B1", "head1", "2"), Data: []byte("{}")})
	r.box("image-packer", "head1", outbox.Entry{ID: "P1", Subject: subject.Release("O-storage"), Data: data})
	return r, rel
}

// writing goes on with changes of all kinds until stop is called.
func (r *room) writing() (stop func()) {
	op, boots := r.connect("operator"), r.connect("bootscript")
	ctx, cancel := context.WithCancel(r.ctx())
	done := make(chan int)
	var begun atomic.Bool
	first := make(chan struct{})
	go func() {
		n := 0
		for ; ctx.Err() == nil && n < 200; n++ {
			_, err := bus.Request(ctx, op, subject.Command("inventory", "node", "add"), &inventoryv1.NodeAddRequest{Group: "compute", Count: 3}, &inventoryv1.ChangeReply{})
			if err == nil {
				_, err = boots.JS.Publish(ctx, subject.Step("B2", "head1", fmt.Sprint(n)), []byte("{}"))
			}
			if err != nil && ctx.Err() == nil {
				r.t.Errorf("the writer was stopped: %v", err)
				break
			}
			if begun.CompareAndSwap(false, true) {
				close(first)
			}
		}
		done <- n
	}()
	<-first
	return func() {
		cancel()
		r.t.Logf("%d changes were made meanwhile", <-done)
	}
}

func TestARestoredHeadIsTheSame(t *testing.T) {
	r, rel := furnished(t)
	file := filepath.Join(t.TempDir(), "head1.backup")
	stop := r.writing()
	m, err := r.backup(file, func(b *backup.Backup) { b.Images = true })
	stop()
	r.must(err)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}

	n := blank(t)
	done, err := n.restore(file, func(res *backup.Restore) { res.Images = true })
	n.must(err)
	if done.Head != "head1" || done.Restored != len(m.Streams) || len(m.Streams) != 7 {
		t.Errorf("restored %d streams of %s", done.Restored, done.Head)
	}
	n.startBus()
	sameFiles(t, r, n)
	for _, s := range m.Streams {
		sameStream(t, r, n, s)
	}
	sameObjects(t, r, n)
	sameEntries(t, n)
	samePayload(t, r, n, rel)
	k, err := secret.ReadKey(filepath.Join(n.Etc, "secret.key"))
	n.must(err)
	for _, m := range n.messages(subject.Secrets, 0) {
		if m.subject != subject.Secret("S1") {
			continue // those that the inventory made
		}
		if text, err := k.Open("S1", []byte(m.data)); err != nil || string(text) != "ladmin" {
			t.Errorf("the secret is %q, %v", text, err)
		}
	}
	n.inventory()
	want := r.nodes()
	for _, seq := range beyond(r, m) {
		delete(want, seq)
	}
	if diff := cmp.Diff(want, n.nodes(), protocmp.Transform()); diff != "" || len(want) < 19 {
		t.Errorf("%d nodes; node list differs:\n%s", len(want), diff)
	}
	n.do(n.connect("operator"), "node", "add", &inventoryv1.NodeAddRequest{Group: "compute"})
}

// beyond returns the ids of the nodes that were added after the backup.
func beyond(r *room, m *backup.Manifest) (ids []string) {
	for seq, msg := range r.messages(subject.Inventory, 0) {
		if noun, id, ok := subject.ParseObject(msg.subject); ok && noun == "node" && seq > m.Streams[0].LastSeq {
			ids = append(ids, id)
		}
	}
	return ids
}

func sameFiles(t *testing.T, r, n *room) {
	t.Helper()
	want, got := r.files(r.Etc), n.files(n.Etc)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("/etc/luna differs:\n%s", diff)
	}
	for name := range want {
		a, errA := os.ReadFile(filepath.Join(r.Etc, name))
		b, errB := os.ReadFile(filepath.Join(n.Etc, name))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs: %v, %v", name, errA, errB)
		}
	}
	if mode := got["secret.key"]; mode.Perm() != 0o600 {
		t.Errorf("secret.key has mode %s", mode)
	}
}

// sameStream compares all messages up to the snapshot's end, and so the last of each subject.
func sameStream(t *testing.T, r, n *room, s backup.Stream) {
	t.Helper()
	want, got := r.messages(s.Name, s.LastSeq), n.messages(s.Name, 0)
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(stored{})); diff != "" {
		t.Errorf("stream %s differs up to %d:\n%s", s.Name, s.LastSeq, diff)
	}
	if len(want) == 0 && s.Name != subject.Seen && s.Name != subject.Hardware {
		t.Errorf("stream %s was empty", s.Name)
	}
	a, err := r.connect("setup").JS.Stream(r.ctx(), s.Name)
	r.must(err)
	b, err := n.connect("setup").JS.Stream(n.ctx(), s.Name)
	n.must(err)
	ca, cb := a.CachedInfo().Config, b.CachedInfo().Config
	ca.Metadata, cb.Metadata = nil, nil
	if diff := cmp.Diff(ca, cb); diff != "" {
		t.Errorf("configuration of %s differs:\n%s", s.Name, diff)
	}
}

func sameObjects(t *testing.T, r, n *room) {
	t.Helper()
	a, err := r.connect("operator").JS.ObjectStore(r.ctx(), subject.Files)
	r.must(err)
	b, err := n.connect("operator").JS.ObjectStore(n.ctx(), subject.Files)
	n.must(err)
	all, err := a.List(r.ctx())
	r.must(err)
	for _, o := range all {
		want, err := a.GetBytes(r.ctx(), o.Name)
		r.must(err)
		got, err := b.GetBytes(n.ctx(), o.Name)
		if err != nil || !bytes.Equal(want, got) {
			t.Errorf("object %s differs: %v", o.Name, err)
		}
	}
	if len(all) != 4 {
		t.Errorf("%d objects", len(all))
	}
}

func sameEntries(t *testing.T, n *room) {
	t.Helper()
	for service, want := range map[string]string{"dhcp": "D1", "bootscript": "E2", "image-packer": "P1"} {
		if got := n.entries(service); len(got) != 1 || got[0].ID != want {
			t.Errorf("in the outbox of %s are %v, not %s alone", service, got, want)
		}
	}
	entry := n.entries("image-packer")[0]
	all := &imagepackerv1.Releases{}
	n.must(wire.Event(entry.Data, all))
	for _, d := range []string{all.Current, all.Releases[0].Kernel} {
		data, err := os.ReadFile(filepath.Join(n.Data, "image-packer", "files", release.Digest(d).Hex()))
		if err != nil || release.DigestOf(data).String() != d {
			t.Errorf("the file of a release that waits: %v", err)
		}
	}
}

func samePayload(t *testing.T, r, n *room, rel *imagepackerv1.Release) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(n.Data, "image-packer", "files", release.Digest(rel.Manifest).Hex()))
	n.must(err)
	m, err := release.ParseManifest(data)
	n.must(err)
	payload := n.files(filepath.Join(n.Data, "payload"))
	for _, s := range m.Segments {
		a, errA := os.ReadFile(filepath.Join(r.Data, "payload", s.Digest.Hex()))
		b, errB := os.ReadFile(filepath.Join(n.Data, "payload", s.Digest.Hex()))
		if errA != nil || errB != nil || !bytes.Equal(a, b) || payload[s.Digest.Hex()].Perm() != 0o644 {
			t.Errorf("segment %s: %v, %v, %s", s.Digest, errA, errB, payload[s.Digest.Hex()])
		}
	}
	if len(payload) != len(m.Segments) {
		t.Errorf("the payload has %d segments, the current release %d", len(payload), len(m.Segments))
	}
}

func TestAServiceThatIsAwayIsNamed(t *testing.T) {
	r := blank(t)
	r.prepare()
	r.box("dhcp", "head1")
	stop := r.box("bootscript", "head1")
	file := filepath.Join(t.TempDir(), "b")
	_, err := r.backup(file, nil)
	if err == nil || !strings.Contains(err.Error(), "image-packer") || strings.Contains(err.Error(), "outbox of dhcp") {
		t.Errorf("without image-packer: %v", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("there is a backup")
	}
	if m, err := r.backup(file, func(b *backup.Backup) { b.Without = []string{"image-packer"} }); err != nil || len(m.Without) != 1 {
		t.Errorf("with --without: %v", err)
	}
	if _, err := r.backup(file, func(b *backup.Backup) { b.Without = []string{"dns"} }); err == nil || !strings.Contains(err.Error(), "--without dns") {
		t.Errorf("a service without outbox: %v", err)
	}
	stop()
	r.box("image-packer", "head1")
	r.box("bootscript", "head2")
	if _, err := r.backup(file, nil); err == nil || !strings.Contains(err.Error(), "answers on head2 and not on this head, head1") {
		t.Errorf("with bootscript on another head alone: %v", err)
	}
}

// TestAnotherHeadsOutboxIsNotTaken has two heads on one bus, of which any may answer.
func TestAnotherHeadsOutboxIsNotTaken(t *testing.T) {
	r := blank(t)
	r.prepare()
	r.allBoxes()
	r.box("dhcp", "head2", outbox.Entry{ID: "other", Subject: subject.Lease("525400000002"), Data: []byte("{}")})
	file := filepath.Join(t.TempDir(), "b")
	if _, err := r.backup(file, nil); err != nil {
		t.Fatal(err)
	}
	n := blank(t)
	if _, err := n.restore(file, nil); err != nil {
		t.Fatal(err)
	}
	if got := n.entries("dhcp"); len(got) != 0 {
		t.Errorf("entries of another head: %v", got)
	}
}
