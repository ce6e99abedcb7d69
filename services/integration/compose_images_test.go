package integration_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/luna-hpc/luna/pkg/testenv"
)

// composedKernel is the version of a kernel that is never booted.
const composedKernel = "6.1.0-99-composed"

// smallTree makes a root file system of a busybox and a kernel, with an initrd of its own.
const smallTree = `set -eu; cd "$1"; mkdir -p boot bin etc root proc sys dev run tmp sbin "lib/modules/$2"
for f in vmlinuz initrd.img; do echo "$f" >"boot/$f-$2"; done; echo >"lib/modules/$2/modules.dep"; echo composed >etc/hostname
busybox=$(command -v busybox)
for f in $(ldd "$busybox" 2>/dev/null | grep -o '/[^ ]*' || true); do mkdir -p ".$(dirname "$f")"; cp -L "$f" ".$f"; done
cp "$busybox" bin/busybox; for p in sh uname cat; do ln -s busybox "bin/$p"; done; ln -s ../bin/busybox sbin/init`

// saveTree saves a tree as an OCI archive: tree, folder to work in, file.
const saveTree = `set -eu; umoci init --layout "$2/oci"; umoci new --image "$2/oci:v1"; umoci insert --image "$2/oci:v1" "$1" /
skopeo copy --quiet --insecure-policy "oci:$2/oci:v1" "oci-archive:$3:v1"`

// composedImages makes images in a head whose packer is in a container.
type composedImages struct {
	checker
	keys  string // what the container has as /root/.ssh
	creds string
	dir   string // beside the image, so that the container sees it
}

// newComposedImages is of a head whose folders are in dir.
func newComposedImages(c checker, dir string) *composedImages {
	c.t.Helper()
	images, err := os.MkdirTemp(filepath.Dir(c.l.Image.Root), "composed-")
	must(c.t, err)
	c.t.Cleanup(func() { must(c.t, os.RemoveAll(images)) })
	return &composedImages{checker: c, keys: filepath.Join(dir, "ssh"), creds: filepath.Join(dir, "etc", "operator.creds"), dir: images}
}

func (c *composedImages) run() {
	c.imported()
	c.do("osimage", "pack", "imported", "--copy_boot")
	if out, err := c.l.Luna(c.ctx, "osimage", "releases", "imported"); err != nil || !strings.Contains(out, composedKernel) {
		c.t.Errorf("releases: %s, %v", out, err)
	}
	c.do("osimage", "clone", "imported", "--to", "cloned", "--path", c.path("cloned"))
	c.entered()
	c.grabbed()
	for _, name := range []string{"cloned", "imported"} {
		c.do("osimage", "delete", name)
	}
}

func (c *composedImages) path(name string) string { return filepath.Join(c.dir, name) }

// imported imports an archive that the container sees, and one that it does not.
func (c *composedImages) imported() {
	tree, work := c.path("tree"), c.t.TempDir()
	must(c.t, os.Mkdir(tree, 0o755))
	testenv.Shell(c.t, smallTree, tree, composedKernel)
	testenv.Shell(c.t, saveTree, tree, work, c.path("saved.tar"))
	outside := filepath.Join(work, "saved.tar")
	testenv.Shell(c.t, `cp "$1" "$2"`, c.path("saved.tar"), outside)
	if out, err := c.l.Luna(c.ctx, "osimage", "import", "oci-archive:"+outside, "-n", "imported", "-p", c.path("imported")); err == nil || !strings.Contains(err.Error(), "a container sees only what compose.yaml mounts") {
		c.t.Errorf("an archive that the container does not see: %s, %v", out, err)
	}
	c.do("osimage", "import", "oci-archive:"+c.path("saved.tar"), "-n", "imported", "-p", c.path("imported"))
	if out, err := c.l.Luna(c.ctx, "osimage", "show", "imported", "--kernver"); err != nil || strings.TrimSpace(out) != composedKernel {
		c.t.Errorf("kernver: %q, %v", out, err)
	}
}

// entered works in the image on the head itself, and sees that the container knows of it.
func (c *composedImages) entered() {
	lchroot := c.l.Command(c.ctx, filepath.Join(bin(c.t), "lchroot"), "cloned", "uname", "-r")
	lchroot.Env = append(os.Environ(), "LUNA_CREDS="+c.creds)
	if out, err := lchroot.Output(); err != nil || string(out) != composedKernel+"\n" {
		c.t.Errorf("lchroot cloned uname -r: %q, %v", out, err)
	}
	locked := c.l.Command(c.ctx, "flock", "--shared", c.path("cloned"), filepath.Join(bin(c.t), "luna"), "osimage", "pack", "cloned", "--copy_boot")
	locked.Env = append(os.Environ(), "LUNA_CREDS="+c.creds)
	if out, err := locked.CombinedOutput(); err == nil || !strings.Contains(string(out), "somebody works in it") {
		c.t.Errorf("a pack while somebody works in the image: %s, %v", out, err)
	}
	c.do("osimage", "pack", "cloned", "--copy_boot")
}

// grabbed grabs a host of the room, whose key stands in the known_hosts that the container sees, or is revoked there.
func (c *composedImages) grabbed() {
	testenv.Shell(c.t, `echo grabbed >"$1/etc/hostname.site"; rm "$1/etc/hostname"`, c.path("tree"))
	sshd := testenv.StartSSHDIn(c.t, c.path("tree"), "nsenter", "--net=/run/netns/"+c.l.Name())
	testenv.Shell(c.t, `install -m 0600 "$1" "$2/id_ed25519"`, sshd.Key, c.keys)
	host := sshd.Host + ":" + strconv.Itoa(sshd.Port)
	known, err := os.ReadFile(sshd.KnownHosts)
	must(c.t, err)
	key := strings.Join(strings.Fields(string(known))[1:3], " ")
	for text, want := range map[string]string{"": "is not known: it is not in /root/.ssh/known_hosts", string(known) + "@revoked * " + key + "\n": "is revoked in /root/.ssh/known_hosts line 2"} {
		must(c.t, os.WriteFile(filepath.Join(c.keys, "known_hosts"), []byte(text), 0o600))
		if out, err := c.l.Luna(c.ctx, "osimage", "grab", "cloned", "--host", host); err == nil || !strings.Contains(err.Error(), want) {
			c.t.Errorf("known hosts %q: %s, %v", text, out, err)
		}
	}
	must(c.t, os.WriteFile(filepath.Join(c.keys, "known_hosts"), known, 0o600))
	c.do("osimage", "grab", "cloned", "--host", host)
	if got, err := os.ReadFile(c.path("cloned/etc/hostname.site")); err != nil || string(got) != "grabbed\n" {
		c.t.Errorf("grabbed: %q, %v", got, err)
	}
}
