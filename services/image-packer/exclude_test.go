package imagepacker_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/testenv"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// excludeList has each kind of line that is documented: from the root, anywhere, directories alone, and what stays.
const excludeList = `# what a site leaves out
/scratch/*
*.core
cache/
+ /opt/app/kept
/opt/app/*
/boot
`

// TestWhatIsExcludedIsInNoRelease grabs a host with an exclude list, and packs what came. What is excluded does not come,
// and what the image has of it stays, and so is packed.
func TestWhatIsExcludedIsInNoRelease(t *testing.T) {
	r, host, sshd := newHost(t)
	testenv.Shell(t, `cd "$1"; mkdir -p scratch srv/a/cache opt/app usr/share/app boot; echo host >srv/kept
for f in scratch/file srv/a/dump.core srv/a/cache/file opt/app/kept opt/app/gone usr/share/app/cache boot/vmlinuz-host; do echo host >"$f"; done`, host)
	r.write("scratch/own", []byte("image"))
	r.object("osimage", "O", &inventoryv1.Osimage{Id: "O", Name: "compute", Path: r.tree, Head: "head", GrabFilesystems: "/,/boot", GrabExcludeList: excludeList})
	covered := "/boot is in grab_filesystems and is left out all the same, since grab_exclude_list covers it"
	for ctx := r.within(); ; {
		j := r.grab(sshd, func(q *imagepackerv1.OsimageGrabRequest) { q.DryRun = true })
		if slices.Contains(j.Notes, covered) {
			break // the packer has heard of the list
		}
		if ctx.Err() != nil {
			t.Fatal(j)
		}
	}
	r.done(r.grab(sshd, nil))
	r.done(r.pack())
	has := r.packedNames()
	for name, want := range map[string]bool{
		"srv/kept": true, "scratch/": true, "scratch/file": false, "scratch/own": true, "srv/a/dump.core": false, "srv/a/cache/": false, "usr/share/app/cache": true,
		"opt/app/kept": true, "opt/app/gone": false, "boot/vmlinuz-host": false, "boot/vmlinuz-6.1": true,
		"etc/ssh/ssh_host_ed25519_key": false, "var/lib/dbus/machine-id": false,
	} {
		if has[name] != want {
			t.Errorf("%s is in the release: %t", name, has[name])
		}
	}
}

// packedNames has a stranger list the current release's segments.
func (r *room) packedNames() map[string]bool {
	r.Helper()
	rs := r.releases()
	_, segments := r.named(&imagepackerv1.Releases{Releases: []*imagepackerv1.Release{currentOf(rs)}})
	names := map[string]bool{}
	for _, d := range segments {
		out := testenv.Shell(r.T, `zstd -dcq "$1" | tar -t --quoting-style=literal`, filepath.Join(r.data, "payload", release.Digest(d).Hex()))
		for name := range strings.Lines(out) {
			names[strings.TrimSuffix(name, "\n")] = true
		}
	}
	return names
}

// TestMountsAreLeftOut mounts something in an image: no release has what is in it, and a note names it.
func TestMountsAreLeftOut(t *testing.T) {
	testenv.Root(t)
	r := newRoom(t, t.TempDir())
	r.write("home/below", []byte("covered"))
	testenv.Shell(t, `mkdir -p "$1/proc"; mount -t tmpfs luna-test "$1/home"; echo x >"$1/home/mounted"; mount -t proc proc "$1/proc"`, r.tree)
	unmount := func() { testenv.Shell(t, `umount "$1/home" "$1/proc" 2>/dev/null || true`, r.tree) }
	t.Cleanup(unmount)
	note := filepath.Join(r.tree, "home") + " is a mount: the directory is taken, and nothing that is in it"
	j := r.pack()
	r.done(j)
	if w := currentOf(r.releases()).Warnings; !slices.Contains(w, note) || !slices.Contains(j.Notes, note) || strings.Contains(strings.Join(w, "\n"), "proc is a mount") {
		t.Errorf("warnings %q, notes %q", w, j.Notes)
	}
	if has := r.packedNames(); !has["home/"] || has["home/mounted"] || has["home/below"] {
		t.Errorf("home/: %t, home/mounted: %t, home/below: %t", has["home/"], has["home/mounted"], has["home/below"])
	}
	unmount()
	r.done(r.pack())
	if w := currentOf(r.releases()).Warnings; slices.Contains(w, note) || !r.packedNames()["home/below"] {
		t.Errorf("unmounted: %q", w)
	}
}
