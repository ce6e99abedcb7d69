package imagepacker_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/testenv"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
)

// archive saves an image whose only layer has so many files of 4 kB.
func (r *room) archive(files int) string {
	r.Helper()
	var layer, all bytes.Buffer
	w := tar.NewWriter(&layer)
	add := func(w *tar.Writer, name string, data []byte) {
		must(r.T, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(data))}))
		_, err := w.Write(data)
		must(r.T, err)
	}
	for i := range files {
		add(w, fmt.Sprintf("usr/share/%03d/%d", i/100, i), bytes.Repeat([]byte{byte(i), 1}, 2048))
	}
	must(r.T, w.Close())
	w = tar.NewWriter(&all)
	add(w, "layer.tar", layer.Bytes())
	add(w, "config.json", fmt.Appendf(nil, `{"os":"linux","architecture":"amd64","rootfs":{"diff_ids":["sha256:%x"]}}`, sha256.Sum256(layer.Bytes())))
	add(w, "manifest.json", []byte(`[{"Config":"config.json","Layers":["layer.tar"]}]`))
	must(r.T, w.Close())
	file := filepath.Join(r.TempDir(), "image.tar")
	must(r.T, os.WriteFile(file, all.Bytes(), 0o600))
	return "docker-archive:" + file
}

// inventory answers in place of the inventory: with what answer returns for a real addition.
func (r *room) inventory(answer func(*inventoryv1.OsimageAddRequest) error) {
	r.Helper()
	add := func(_ context.Context, call bus.Call, req *inventoryv1.OsimageAddRequest) (*inventoryv1.ChangeReply, error) {
		if call.DryRun {
			return &inventoryv1.ChangeReply{}, nil
		}
		return &inventoryv1.ChangeReply{}, answer(req)
	}
	s := bus.NewService(r.srv.Connect(r.T, "inventory"), "inventory", "a stand-in", bus.Handle("osimage", "add", add).Dry())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	r.Cleanup(func() { cancel(); must(r.T, <-ended) })
}

// importInto begins an import, once there is somebody to ask.
func (r *room) importInto(source, path string) string {
	r.Helper()
	for ctx := r.within(); ; time.Sleep(10 * time.Millisecond) {
		rep, err := bus.Request(ctx, r.conn, subject.Command("image-packer", "osimage", "import"),
			&imagepackerv1.OsimageImportRequest{Name: "new", Source: source, Path: path}, &jobv1.JobReply{})
		if err == nil {
			return rep.JobId
		}
		if ctx.Err() != nil || fault.KindOf(err) != fault.Unavailable {
			r.Fatal(err)
		}
	}
}

// left returns what is in a directory, by name.
func (r *room) left(dir string) string {
	r.Helper()
	files, err := os.ReadDir(dir)
	must(r.T, err)
	var names []string
	for _, f := range files {
		names = append(names, f.Name())
	}
	return strings.Join(names, " ")
}

func TestImportIsWholeOrNothing(t *testing.T) {
	disk := testenv.SmallDisk(t, "96m")
	r := newRoom(t, t.TempDir())
	var described atomic.Int32
	var refuse, unknown atomic.Bool
	r.inventory(func(req *inventoryv1.OsimageAddRequest) error {
		described.Add(1)
		if req.Head != "head" || req.Kernver != "" {
			return fmt.Errorf("described as %v", req)
		}
		if refuse.Load() {
			return fault.Conflictf("somebody was faster")
		}
		if unknown.Swap(false) {
			return fault.Unavailablef("outcome unknown")
		}
		return nil
	})
	source, to := r.archive(3000), filepath.Join(disk.Dir, "new")

	disk.Fill(5 << 20)
	j := r.ended(r.importInto(source, to))
	if j.State != jobv1.State_STATE_FAILED || !strings.Contains(j.Error, "no room on the disk of head head") || r.left(disk.Dir) != "ballast" {
		t.Errorf("on a full disk: %v; left %q", j, r.left(disk.Dir))
	}
	disk.Clear()
	refuse.Store(true)
	if j := r.ended(r.importInto(source, to)); j.State != jobv1.State_STATE_FAILED || !strings.Contains(j.Error, "somebody was faster") || r.left(disk.Dir) != "" {
		t.Errorf("not described: %v; left %q", j, r.left(disk.Dir))
	}
	refuse.Store(false)
	unknown.Store(true) // so it is asked again, and the directory stays
	must(t, os.Mkdir(to, 0o700))
	j = r.ended(r.importInto(source, to))
	if j.State != jobv1.State_STATE_DONE || r.left(disk.Dir) != "new" || r.left(filepath.Join(to, "usr/share/029")) == "" {
		t.Errorf("%v; left %q", j, r.left(disk.Dir))
	}
	if notes := strings.Join(j.Notes, "\n"); !strings.Contains(notes, "holds no kernel: put one there, as /boot/vmlinuz-VERSION") {
		t.Errorf("notes: %s", notes)
	}
	if n := described.Load(); n != 3 {
		t.Errorf("described %d times", n)
	}
}

// TestImportIsKilled ends the packer in the middle of imports, at any time; the next one leaves nothing of them.
func TestImportIsKilled(t *testing.T) {
	testenv.Root(t)
	r := newRoom(t, t.TempDir())
	r.stop()
	r.inventory(func(*inventoryv1.OsimageAddRequest) error { return nil })
	source, place, random := r.archive(8000), t.TempDir(), testenv.Rand(t)
	half := 0
	for range testenv.Times(t, 4) {
		p := r.process()
		if got := r.left(place); got != "" {
			t.Fatalf("a start leaves %q", got)
		}
		r.importInto(source, filepath.Join(place, "new"))
		time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond) // any moment is one
		p.kill()
		switch r.left(place) {
		case "":
		case ".new.luna-half":
			half++
		case "new": // whole, and of nobody
			if r.left(filepath.Join(place, "new/usr/share/079")) == "" {
				t.Error("not whole")
			}
			must(t, os.RemoveAll(filepath.Join(place, "new")))
		default:
			t.Errorf("left %q", r.left(place))
		}
	}
	if half == 0 {
		t.Error("no import was in the middle: the test tries nothing")
	}
	p := r.process()
	if j := r.ended(r.importInto(source, filepath.Join(place, "new"))); j.State != jobv1.State_STATE_DONE || r.left(place) != "new" {
		t.Errorf("%v; left %q\n%s", j, r.left(place), p.out.String())
	}
}

func TestImportsThatAreRefused(t *testing.T) {
	r := newRoom(t, t.TempDir())
	r.inventory(func(*inventoryv1.OsimageAddRequest) error { return errors.New("nothing should come") })
	r.pack() // it is there
	full := t.TempDir()
	must(t, os.WriteFile(filepath.Join(full, "x"), nil, 0o600))
	good := r.archive(1)
	for _, c := range []struct{ source, path, head, want string }{
		{"docker://debian", "/x", "", "want docker-archive:FILE[:TAG], oci:DIRECTORY[:TAG] or oci-archive:FILE[:TAG]"},
		{"oci:here", "/x", "", "must begin with /"},
		{good, "x", "", "must begin with /"},
		{"docker-archive:/nowhere/a.tar", "/x", "", "on head head (a container sees only what compose.yaml mounts, /opt/luna"},
		{"docker-archive:" + full, "/x", "", "is no file: want oci:"},
		{strings.Replace(good, "docker-archive", "oci", 1), "/x", "", "is no directory"},
		{good, full, "", "is not empty: it holds x"},
		{good, full + "/x", "", "is no directory"},
		{good, full + "/a/b", "", "no such file"},
		{good, "/proc", "", "is not empty"},
		{good, "/x", "elsewhere", "head elsewhere: not done: nobody answers"},
	} {
		_, err := bus.Request(r.within(), r.conn, subject.Command("image-packer", "osimage", "import"),
			&imagepackerv1.OsimageImportRequest{Name: "new", Source: c.source, Path: c.path, Head: c.head}, &jobv1.JobReply{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s to %s: %v, want %q", c.source, c.path, err, c.want)
		}
	}
}
