package backup_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/luna/internal/backup"
)

// small makes the backup of a head with a message in three streams and a payload.
func small(t *testing.T) (r *room, file string) {
	r = blank(t)
	r.prepare()
	r.released("compute", "welcome")
	r.box("dhcp", "head1", outbox.Entry{ID: "D1", Subject: subject.Lease("525400000001"), Data: []byte("{}")})
	r.box("bootscript", "head1")
	r.box("image-packer", "head1")
	r.publish(r.connect("inventory"), subject.Object("cluster", "C1"), &inventoryv1.Cluster{Id: "C1"})
	file = filepath.Join(t.TempDir(), "backup")
	_, err := r.backup(file, func(b *backup.Backup) { b.Images = true })
	r.must(err)
	return r, file
}

// untouched fails when anything is on a head that nothing should have come to.
func (r *room) untouched() {
	r.t.Helper()
	for _, dir := range []string{r.Etc, r.Data} {
		if _, err := os.Stat(dir); err == nil {
			if left := r.files(dir); len(left) > 0 {
				r.t.Errorf("something was restored: %v", left)
			}
		}
	}
}

// edit changes the entries of a backup, whose compression stays right.
func (r *room) edit(file string, change func(name string, data []byte) (string, []byte)) string {
	r.t.Helper()
	return r.damage(file, func(data []byte) []byte {
		z, err := zstd.NewReader(bytes.NewReader(data))
		r.must(err)
		defer z.Close()
		from := tar.NewReader(z)
		var out bytes.Buffer
		zw, err := zstd.NewWriter(&out)
		r.must(err)
		to := tar.NewWriter(zw)
		for {
			h, err := from.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			r.must(err)
			data, err := io.ReadAll(from)
			r.must(err)
			name, data := change(h.Name, data)
			if name == "" {
				continue
			}
			r.must(to.WriteHeader(&tar.Header{Name: name, Mode: h.Mode, Size: int64(len(data))}))
			_, err = to.Write(data)
			r.must(err)
		}
		r.must(to.Close())
		r.must(zw.Close())
		return out.Bytes()
	})
}

// manifest changes the manifest of a backup.
func (r *room) manifest(file string, change func(map[string]any)) string {
	return r.edit(file, func(name string, data []byte) (string, []byte) {
		if name != "manifest.json" {
			return name, data
		}
		m := map[string]any{}
		r.must(json.Unmarshal(data, &m))
		change(m)
		data, err := json.Marshal(m)
		r.must(err)
		return name, data
	})
}

func part(m map[string]any, i int) map[string]any { return m["parts"].([]any)[i].(map[string]any) }

func TestADamagedBackupChangesNothing(t *testing.T) {
	r, file := small(t)
	for what, c := range map[string]struct{ file, want string }{
		"a flipped bit":  {r.damage(file, func(b []byte) []byte { b[len(b)/2] ^= 1; return b }), "cannot be restored"},
		"half of it":     {r.damage(file, func(b []byte) []byte { return b[:len(b)/2] }), "cut off"},
		"all but a byte": {r.damage(file, func(b []byte) []byte { return b[:len(b)-1] }), "cut off"},
		"nothing":        {r.damage(file, func([]byte) []byte { return nil }), "cut off"},
		"more behind it": {r.damage(file, func(b []byte) []byte { return append(b, "more"...) }), "cannot be restored"},
		"another file":   {r.damage(file, func([]byte) []byte { return []byte("#!/bin/sh\necho\n") }), "cannot be restored"},
		"a tar without a manifest": {r.edit(file, func(name string, data []byte) (string, []byte) {
			return strings.Replace(name, "manifest.json", "other.json", 1), data
		}), "no backup of luna"},
		"another version":  {r.manifest(file, func(m map[string]any) { m["format"] = 2 }), "format is 2, this program reads 1"},
		"an unknown field": {r.manifest(file, func(m map[string]any) { m["more"] = 1 }), `unknown field "more"`},
		"another digest": {r.manifest(file, func(m map[string]any) {
			part(m, 0)["digest"] = "sha256:" + strings.Repeat("0", 64)
		}), "secret.key: it is damaged"},
		"a part that leads out": {r.manifest(file, func(m map[string]any) { part(m, 0)["name"] = "../passwd" }), "no path inside a backup"},
		"a part of no head":     {r.manifest(file, func(m map[string]any) { part(m, 0)["name"] = "etc/nats/x" }), "no file that a head has"},
		"a part twice":          {r.manifest(file, func(m map[string]any) { part(m, 1)["name"] = part(m, 0)["name"] }), "there twice"},
		"a stream without parts": {r.manifest(file, func(m map[string]any) {
			m["streams"] = append(m["streams"].([]any), map[string]any{"name": "MORE", "last_seq": 1, "messages": 1})
		}), "its parts are missing"},
		"a missing part": {r.edit(file, func(name string, data []byte) (string, []byte) {
			return strings.Replace(name, "etc/secret.key", "", 1), data
		}), "part etc/secret.key of"},
		"a part too many": {r.manifest(file, func(m map[string]any) {
			parts := m["parts"].([]any)
			m["parts"] = parts[:len(parts)-1]
		}), "is in it and not in its manifest"},
		"no file": {filepath.Join(t.TempDir(), "nosuch"), "nosuch"},
	} {
		t.Run(what, func(t *testing.T) {
			n := blank(t)
			_, err := n.restore(c.file, func(res *backup.Restore) { res.Images = true })
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			n.untouched()
		})
	}
}

func TestAFileInTheWayStopsARestore(t *testing.T) {
	_, file := small(t)
	for _, name := range []string{"secret.key", "dhcp.yaml", "keys/setup.nk", "operator.creds"} {
		n := blank(t)
		way := filepath.Join(n.Etc, name)
		n.must(os.MkdirAll(filepath.Dir(way), 0o755))
		n.must(os.WriteFile(way, []byte("mine"), 0o600))
		_, err := n.restore(file, nil)
		if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), way) {
			t.Errorf("%s: %v", name, err)
		}
		if data, _ := os.ReadFile(way); string(data) != "mine" || len(n.files(n.Etc)) != 1 || len(n.files(n.Data)) != 0 {
			t.Errorf("%s: %q, %v, %v", name, data, n.files(n.Etc), n.files(n.Data))
		}
	}
}

func TestStreamsInUseAreKeptUnlessOverwritten(t *testing.T) {
	r, file := small(t)
	more := func() {
		r.publish(r.connect("inventory"), subject.Object("cluster", "C1"), &inventoryv1.Cluster{Id: "C1", Comment: "later"})
	}
	more()
	_, err := r.restore(file, nil)
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "INVENTORY (2)") || !strings.Contains(err.Error(), "--overwrite") {
		t.Errorf("streams in use: %v", err)
	}
	if got := r.messages(subject.Inventory, 0); len(got) != 2 {
		t.Errorf("%d messages are left", len(got))
	}
	for range 2 { // it may be done again
		done, err := r.restore(file, func(res *backup.Restore) { res.Overwrite = true })
		r.must(err)
		if got := r.messages(subject.Inventory, 0); len(got) != 1 || done.Restored != len(done.Streams) || done.Files != 0 {
			t.Errorf("%d messages, %d streams and %d files were restored", len(got), done.Restored, done.Files)
		}
	}
	more()
	r.must(bus.Setup(r.ctx(), r.connect("setup").JS, 1)) // as at every start
	if _, err := r.restore(file, nil); fault.KindOf(err) != fault.Conflict {
		t.Errorf("streams in use that were restored once: %v", err)
	}
}

// TestAnInventoryFollowsARestore has a service that runs while its stream is replaced.
func TestAnInventoryFollowsARestore(t *testing.T) {
	r, _ := furnished(t)
	file := filepath.Join(t.TempDir(), "backup")
	_, err := r.backup(file, nil)
	r.must(err)
	want := r.nodes()
	op := r.connect("operator")
	r.do(op, "node", "add", &inventoryv1.NodeAddRequest{Group: "compute", Count: 5})
	_, err = r.restore(file, func(res *backup.Restore) { res.Overwrite = true })
	r.must(err)
	ctx := r.ctx()
	for len(r.nodes()) != len(want) {
		if ctx.Err() != nil {
			t.Fatalf("the inventory lists %d nodes, not %d", len(r.nodes()), len(want))
		}
	}
	r.do(op, "node", "add", &inventoryv1.NodeAddRequest{Group: "compute"})
	if got := r.nodes(); len(got) != len(want)+1 {
		t.Errorf("%d nodes after one more", len(got))
	}
}

func TestARestoreThatWasBrokenOffIsRunAgain(t *testing.T) {
	_, file := small(t)
	n := blank(t)
	// The bus goes away before the first stream.
	broken := errors.New("the bus is away")
	_, err := n.restore(file, func(res *backup.Restore) {
		connect := res.Connect
		res.Connect = func(ctx context.Context, staged backup.Places) (*bus.Conn, error) {
			conn, err := connect(ctx, staged)
			if err == nil {
				conn.JS = failing{conn.JS, broken}
			}
			return conn, err
		}
	})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "run it again") {
		t.Errorf("broken off: %v", err)
	}
	if len(n.entries("dhcp")) != 1 {
		t.Error("the files were to be there already")
	}
	done, err := n.restore(file, func(res *backup.Restore) { res.Images = true })
	n.must(err)
	if done.Restored != len(done.Streams) || done.Files == 0 {
		t.Errorf("%d streams and %d files came the second time", done.Restored, done.Files)
	}
	done, err = n.restore(file, nil)
	n.must(err)
	if done.Restored != 0 || done.Files != 0 {
		t.Errorf("%d streams and %d files came the third time", done.Restored, done.Files)
	}
	n.startBus()
	if got := n.messages(subject.Inventory, 0); len(got) != 1 {
		t.Errorf("%d messages in %s", len(got), subject.Inventory)
	}
}

// failing is a bus on which no stream can be deleted.
type failing struct {
	jetstream.JetStream
	err error
}

func (f failing) DeleteStream(context.Context, string) error { return f.err }

// TestAStreamThatCameHalfIsDoneAgain has what the server keeps of a stream
// whose restore was broken off: some messages, and the mark.
func TestAStreamThatCameHalfIsDoneAgain(t *testing.T) {
	r, file := small(t)
	m, err := r.backup(file, nil)
	r.must(err)
	n := blank(t)
	n.must(copyDir(r.keys(), n.keys()))
	n.startBus()
	setup := n.connect("setup").JS
	n.publish(n.connect("inventory"), subject.Object("node", "half"), &inventoryv1.Node{Id: "half"})
	s, err := setup.Stream(n.ctx(), subject.Inventory)
	n.must(err)
	cfg := s.CachedInfo().Config
	cfg.Metadata = map[string]string{"luna-restoring": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}
	_, err = setup.UpdateStream(n.ctx(), cfg)
	n.must(err)
	if _, err := n.restore(file, nil); fault.KindOf(err) != fault.Conflict {
		t.Errorf("half of another backup is there: %v", err)
	}
	cfg.Metadata["luna-restoring"] = m.ID
	_, err = setup.UpdateStream(n.ctx(), cfg)
	n.must(err)
	_, err = n.restore(file, nil)
	n.must(err)
	sameStream(t, r, n, m.Streams[0])
}

func copyDir(from, to string) error { return os.CopyFS(to, os.DirFS(from)) }

func TestAMissingKeyIsNamed(t *testing.T) {
	r, file := small(t)
	key := filepath.Join(r.Etc, "secret.key")
	n := blank(t)
	if _, err := n.SetupKey(); err == nil || !strings.Contains(err.Error(), n.Etc) || !strings.Contains(err.Error(), "setup.nk") {
		t.Errorf("no key of setup: %v", err)
	}
	r.must(os.Rename(key, key+".away"))
	if _, err := r.backup(file, nil); fault.KindOf(err) != fault.NotFound || !strings.Contains(err.Error(), "secret.key") {
		t.Errorf("no key of the secrets: %v", err)
	}
	r.must(os.Rename(key+".away", key))
	segments, err := filepath.Glob(filepath.Join(r.Data, "payload", "*"))
	r.must(err)
	r.must(os.WriteFile(segments[0], []byte("damaged"), 0o644))
	images := func(b *backup.Backup) { b.Images = true }
	if _, err := r.backup(file, images); err == nil || !strings.Contains(err.Error(), segments[0]) {
		t.Errorf("a damaged segment: %v", err)
	}
	r.must(os.Remove(segments[0]))
	if _, err := r.backup(file, images); err == nil || !strings.Contains(err.Error(), segments[0]) {
		t.Errorf("a missing segment: %v", err)
	}
	if _, err := n.restore(file, nil); err != nil {
		t.Errorf("the older backup is not whole any more: %v", err)
	}
}

func TestPayloadIsAskedFor(t *testing.T) {
	r, with := small(t)
	without := filepath.Join(t.TempDir(), "without")
	_, err := r.backup(without, nil)
	r.must(err)
	n := blank(t)
	if _, err := n.restore(without, func(res *backup.Restore) { res.Images = true }); err == nil || !strings.Contains(err.Error(), "without --images") {
		t.Errorf("payload that is not there: %v", err)
	}
	n.untouched()
	_, err = n.restore(with, nil)
	n.must(err)
	if _, err := os.Stat(filepath.Join(n.Data, "payload")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("payload came unasked: %v", err)
	}
}

// TestAnOutboxThatIsThereStays has a service that was started before the restore.
func TestAnOutboxThatIsThereStays(t *testing.T) {
	_, file := small(t)
	n := blank(t)
	mine := filepath.Join(n.Data, "dhcp", "outbox.db")
	n.must(os.MkdirAll(filepath.Dir(mine), 0o700))
	n.must(os.WriteFile(mine, []byte("mine"), 0o600))
	var said []string
	_, err := n.restore(file, func(res *backup.Restore) { res.Note = func(s string) { said = append(said, s) } })
	n.must(err)
	if data, _ := os.ReadFile(mine); string(data) != "mine" || len(said) != 1 || !strings.Contains(said[0], "left out, 1 entries") {
		t.Errorf("%q, %q", data, said)
	}
}
