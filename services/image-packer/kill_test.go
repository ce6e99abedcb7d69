package imagepacker_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/testenv"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
)

// TestPackIsKilled ends packers in the middle of packs, at any time: what was current boots as before, and the next pack
// is done. Each leaves nothing that is not collected.
func TestPackIsKilled(t *testing.T) {
	random := testenv.Rand(t)
	r := newRoom(t, t.TempDir())
	r.stop()
	r.grow("usr/share/old", 6)
	p := r.process()
	began := time.Now()
	r.done(r.pack())
	long := time.Since(began)
	amid, rounds := 0, testenv.Times(t, 12)
	for n := 0; n < rounds || amid == 0 && n < 4*rounds; n++ { // one of them is to be in the middle
		before := r.releases()
		r.grow("usr/share/old", 4)
		r.write("boot/initrd.img-6.1", fmt.Appendf(nil, "initrd %d", n))
		r.begin()
		time.Sleep(time.Duration(random.Int64N(int64(long)))) // any moment is one
		p.kill()
		if r.unfinished() {
			amid++
		}
		p = r.process()
		after := r.releases()
		if i := slices.IndexFunc(after.Releases, func(x *imagepackerv1.Release) bool { return x.Manifest == before.Current }); i < 0 || !proto.Equal(after.Releases[i], currentOf(before)) {
			t.Fatalf("the current release of\n%v\nis not in\n%v", before, after)
		}
		r.whole(after)
		if half := r.halfMade(); half != "" {
			t.Errorf("after kill %d there are half made: %s", n, half)
		}
		r.done(r.pack())
		r.whole(r.releases())
		r.onlyWhatIsKept()
	}
	if t.Logf("%d kills left something half made", amid); amid == 0 {
		t.Error("no pack was in the middle: the test tries nothing")
	}
}

// TestDiskBecomesFullAtAnyPoint leaves a pack more or less room.
func TestDiskBecomesFullAtAnyPoint(t *testing.T) {
	random := testenv.Rand(t)
	disk := testenv.SmallDisk(t, "96m")
	r := newRoom(t, disk.Dir)
	r.done(r.pack())
	failed := 0
	for n := range testenv.Times(t, 6) {
		before := r.releases()
		r.grow("usr/share/new", 2)
		r.write("boot/initrd.img-6.1", bytes.Repeat([]byte{byte(n), 1}, 1<<19))
		disk.Fill(random.Int64N(12<<20) >> random.IntN(10)) // often little
		j := r.pack()
		if j.State == jobv1.State_STATE_FAILED {
			failed++
			if !strings.Contains(j.Error, "no room on the disk of head head") {
				t.Errorf("a pack on a full disk: %v", j)
			}
			if now := r.releases(); !proto.Equal(now, before) {
				t.Errorf("the releases were %v, are %v", before, now)
			}
		}
		r.whole(r.releases())
		if half := r.halfMade(); half != "" {
			t.Errorf("left half made: %s", half)
		}
		disk.Clear()
		r.done(r.pack())
		r.whole(r.releases())
		r.onlyWhatIsKept()
	}
	if failed == 0 {
		t.Error("no pack failed: the test tries nothing")
	}
}

func (r *room) done(j *jobv1.Job) {
	r.Helper()
	if j.State != jobv1.State_STATE_DONE {
		r.Fatal(j)
	}
}

// begin begins a pack.
func (r *room) begin() {
	r.Helper()
	ctx := r.within()
	for {
		_, err := bus.Request(ctx, r.conn, subject.Command("image-packer", "osimage", "pack"), &imagepackerv1.PackRequest{Name: "compute", CopyBoot: true}, &jobv1.JobReply{})
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			r.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond) // the last job is just ending
	}
}

func currentOf(rs *imagepackerv1.Releases) *imagepackerv1.Release {
	return rs.Releases[slices.IndexFunc(rs.Releases, func(x *imagepackerv1.Release) bool { return x.Manifest == rs.Current })]
}

// named returns the digests of the files and of the segments that releases name.
func (r *room) named(rs *imagepackerv1.Releases) (files, segments []string) {
	r.Helper()
	for _, x := range rs.Releases {
		files = append(files, x.Digests()...)
		data, err := os.ReadFile(filepath.Join(r.data, "image-packer/files", release.Digest(x.Manifest).Hex()))
		must(r.T, err)
		m, err := release.ParseManifest(data)
		must(r.T, err)
		for _, s := range m.Segments {
			segments = append(segments, s.Digest.String())
		}
	}
	return files, segments
}

// whole checks by their digests all that releases name, on the disk and, of files, in the object store.
func (r *room) whole(rs *imagepackerv1.Releases) {
	r.Helper()
	files, segments := r.named(rs)
	store, err := r.srv.Connect(r.T, "image-packer").JS.ObjectStore(r.within(), subject.Files)
	must(r.T, err)
	for _, d := range files {
		r.isOf(d, filepath.Join(r.data, "image-packer/files", release.Digest(d).Hex()))
		o, err := store.GetBytes(r.within(), release.Digest(d).Hex())
		if err != nil || release.DigestOf(o).String() != d {
			r.Errorf("the object store has %d bytes for %s, %v", len(o), d, err)
		}
	}
	for _, d := range segments {
		r.isOf(d, filepath.Join(r.data, "payload", release.Digest(d).Hex()))
	}
}

// isOf checks that a file has a digest.
func (r *room) isOf(digest, file string) {
	r.Helper()
	f, err := os.Open(file)
	must(r.T, err)
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	if must(r.T, err); "sha256:"+hex.EncodeToString(h.Sum(nil)) != digest {
		r.Errorf("%s is not whole", file)
	}
}

// places returns the names in the folders that packs write to, but for what the last packs remember.
func (r *room) places() (all []string) {
	for _, dir := range []string{"payload", "image-packer/files", "image-packer/work", "image-packer/half", "image-packer/index"} {
		for name := range strings.FieldsSeq(r.left(filepath.Join(r.data, dir))) {
			if dir != "image-packer/index" || strings.HasSuffix(name, ".new") {
				all = append(all, dir+"/"+name)
			}
		}
	}
	return all
}

// halfMade returns what is no whole file of a release, kept or not.
func (r *room) halfMade() string {
	half := slices.DeleteFunc(r.places(), func(name string) bool {
		_, err := hex.DecodeString(filepath.Base(name))
		return err == nil && len(filepath.Base(name)) == 2*sha256.Size
	})
	return strings.Join(half, " ")
}

// unfinished tells whether a pack left something that no release names.
func (r *room) unfinished() bool { return r.halfMade() != "" }

// onlyWhatIsKept checks that nothing lies there that no release names.
func (r *room) onlyWhatIsKept() {
	r.Helper()
	files, segments := r.named(r.releases())
	for _, name := range r.places() {
		if d := "sha256:" + filepath.Base(name); !slices.Contains(files, d) && !slices.Contains(segments, d) {
			r.Errorf("%s is there, and no release names it", name)
		}
	}
}
