package pack

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/image-packer/internal/initrd"
	"github.com/luna-hpc/luna/services/image-packer/internal/tree"
)

func TestNotesOfAnImage(t *testing.T) {
	for modules, want := range map[string][]string{
		inventoryv1.DefaultDracutmodules: nil,
		"":                               nil,
		"luna,nfs":                       {`dracutmodules "luna,nfs" have no effect: dracut does not make this initrd`},
	} {
		if diff := cmp.Diff(want, ofImage(&inventoryv1.Osimage{Dracutmodules: modules})); diff != "" {
			t.Errorf("%q: %s", modules, diff)
		}
	}
}

func TestNotesOfAnInitrd(t *testing.T) {
	if got := ofInitrd(&initrd.Report{Udev: true, Tried: true}); len(got) > 0 {
		t.Errorf("of one that is whole: %q", got)
	}
	want := []string{
		"tools that the image lacks: ipmitool lvm",
		"kernel modules that were asked for and cannot be had: ipmi_si",
		"firmware that packed drivers name and the image lacks: tigon/tg3.bin",
		"drivers and file systems that are not in the initrd (--kernmodules takes them by name): drbd ocfs2",
		"other kernel modules that are not in the initrd: drivers/gpu (12) sound (40)",
		"the image has no udev: the agent loads the drivers",
		"the image is for another processor: its tools were not tried",
	}
	got := ofInitrd(&initrd.Report{MissingTools: []string{"ipmitool", "lvm"}, MissingModules: []string{"ipmi_si"}, MissingFirmware: []string{"tigon/tg3.bin"},
		LeftModules: []string{"drbd", "ocfs2"}, LeftParts: []string{"drivers/gpu (12)", "sound (40)"}})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// image makes a tree of files.
func image(t *testing.T, files map[string]string) tree.Tree {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		p := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	return tree.At(root)
}

func TestNotesOfAPayload(t *testing.T) {
	key := "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"nothing": {map[string]string{"etc/shadow": "root:*:1::::::\n", "etc/selinux/config": "SELINUX=enforcing\n"}, nil},
		"secrets": {map[string]string{"etc/shadow": "root:$6$abcdefgh$ijkl:1::::::\n", "etc/ssh/ssh_host_ed25519_key": key, "etc/munge/munge.key": "m", "etc/krb5.keytab": "\x05\x02x"}, []string{
			"the payload is public, and it has a keytab in /etc/krb5.keytab",
			"the payload is public, and it has a munge key in /etc/munge/munge.key",
			"the payload is public, and it has a password hash of root in /etc/shadow",
			"the payload is public, and it has a private key in /etc/ssh/ssh_host_ed25519_key",
		}},
		"SELinux": {map[string]string{"etc/selinux/config": "SELINUX=enforcing\n", "etc/selinux/targeted/policy/policy.33": "p", "usr/sbin/setfiles": "", "usr/sbin/load_policy": ""},
			[]string{"SELinux is enforcing (targeted): nodes label their files before the system starts"}},
		"SELinux without its programs": {map[string]string{"etc/selinux/config": "SELINUX=permissive\n", "etc/selinux/targeted/policy/policy.33": "p", "usr/sbin/load_policy": ""},
			[]string{"SELinux is permissive (targeted): nodes label their files before the system starts, which needs what the image lacks: setfiles (install policycoreutils)"}},
	} {
		got, err := ofPayload(t.Context(), image(t, c.files))
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}
