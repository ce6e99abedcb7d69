package initrd_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/services/image-packer/internal/initrd"
)

// newAgent builds the agent as a release has it.
func newAgent(t *testing.T) string {
	t.Helper()
	agent := filepath.Join(t.TempDir(), "luna-agent")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-tags", "nosqlite disable_libutp", "-ldflags", "-s -w", "-o", agent,
		"github.com/luna-hpc/luna/services/cmd/luna-agent")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the agent: %v\n%s", err, out)
	}
	return agent
}

// standIn returns a small program for the agent's place.
func standIn(t *testing.T) string {
	t.Helper()
	bin, err := static()
	if err != nil {
		t.Fatal(err)
	}
	agent := filepath.Join(t.TempDir(), "luna-agent")
	if err := os.WriteFile(agent, bin, 0o755); err != nil {
		t.Fatal(err)
	}
	return agent
}

// buildOf builds the initrd of a whole image, for its newest kernel, into the file at path.
func buildOf(t *testing.T, root, path, agent string, quick bool) *initrd.Report {
	t.Helper()
	testenv.Root(t)
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	report, err := initrd.Build(t.Context(), initrd.Options{
		Tree: root, AgentBinary: agent, WorkDir: t.TempDir(), Out: out, Quick: quick,
		KernelModules: []string{"ipmi_devintf", "ipmi_si", "ipmi_msghandler", "dummy"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes, unpacked %d, %s, %d modules, udev %v, tried %v", report.Size, report.Unpacked, report.Compression, report.Modules, report.Udev, report.Tried)
	t.Logf("missing tools %v, modules %v; firmware %d, missing %d", report.MissingTools, report.MissingModules, len(report.Firmware), len(report.MissingFirmware))
	return report
}

// unpacked returns a directory with what GNU cpio makes of an initrd.
func unpacked(t *testing.T, path string) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command(testenv.Program(t, "bash"), "-euo", "pipefail", "-c", `zstd -dc "$0" | cpio -idm --quiet`, path)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("unpack: %v\n%s", err, out)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// jobs are what the tools of an initrd must be able to do where there is nothing but the initrd.
const jobs = `
set -euo pipefail
cd /tmp
[ "$(getent passwd root | cut -d: -f6)" = /root ]
getent hosts localhost > hosts
x=é; [ ${#x} = 1 ]
truncate -s 320M disk
mkfs.ext4 -q -F disk
mkfs.xfs -q -f disk
mkfs.vfat disk > said
wipefs -q -a disk
printf 'label: gpt\n,100M\n' | sfdisk -q disk
[ "$(parted -sm disk unit MiB print | wc -l)" = 3 ]
ssh-keygen -q -t ed25519 -N '' -f key
mkdir -p /run/sshd
chmod 0755 /run/sshd
sshd -t -h key
tar cf - key | gzip | tar xzOf - key | sed -n '1!p' | awk 'END { exit NR < 3 }'
rc=0; curl -sS https://127.0.0.1:1/ 2> said || rc=$?
[ $rc = 7 ]
rc=0; wget -q https://127.0.0.1:1/ || rc=$?
[ $rc = 4 ]
modprobe -S "$1" --show-depends xfs | grep -q 'libcrc32c'
[ "$(modprobe -S "$1" --resolve-alias virtio:d00000001v00001AF4)" = virtio_net ]
`

// TestRealImage builds the initrd of the image whose directory LUNA_TEST_IMAGE names. LUNA_TEST_INITRD is where to keep it.
func TestRealImage(t *testing.T) {
	t.Parallel()
	root := testenv.Image(t)
	path := os.Getenv("LUNA_TEST_INITRD")
	if path == "" {
		path = filepath.Join(t.TempDir(), "initrd.img")
	}
	report := buildOf(t, root, path, newAgent(t), false)
	if limit := int64(30_000_000); report.Size > limit {
		t.Errorf("%d bytes, want at most %d", report.Size, limit)
	}
	if !report.Tried || !report.Udev || report.Compression != "zstd" {
		t.Errorf("tools tried %v, udev %v, compression %s", report.Tried, report.Udev, report.Compression)
	}
	dir := unpacked(t, path)
	if list, err := os.ReadFile(filepath.Join(dir, "etc/modules-load.d/luna.conf")); string(list) != "dummy\n" {
		t.Errorf("loaded at boot: %q, %v", list, err)
	}
	// -I: programs carry the keys of their own tests.
	if keys, err := exec.Command("grep", "-rlI", "-e", "-----BEGIN .*PRIVATE KEY", dir).Output(); err == nil || len(keys) > 0 {
		t.Errorf("private keys in %s", keys)
	}
	cmd := exec.Command("/bin/bash", "-c", jobs, "jobs", filepath.Base(testenv.Kernel(t))[len("vmlinuz-"):])
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/root", "SHELLOPTS=xtrace"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: dir}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("the initrd's tools: %v\n%s", err, bytes.TrimSpace(out))
	}
}

// drivers are what the machines of clusters boot by: disks, networks, consoles, file systems.
var drivers = strings.Fields(`nvme ahci megaraid_sas mpt3sas mpi3mr hpsa smartpqi aacraid virtio_blk virtio_scsi virtio_net hv_storvsc hv_netvsc
	vmw_pvscsi vmxnet3 xen-blkfront xen-netfront mlx4_en mlx5_core mlx5_ib ice i40e ixgbe bnx2x bnxt_en qede tg3 e1000e igb igc r8169 be2net
	ib_ipoib hfi1 ext4 xfs vfat btrfs overlay squashfs erofs isofs ipmi_si ipmi_devintf ipmi_ssif usb-storage uas usbhid hid-generic
	raid1 raid456 dm-mod dm-crypt bonding 8021q`)

// TestPhysicalImage packs Debian's kernel for physical machines, and has modinfo say which firmware its drivers load.
func TestPhysicalImage(t *testing.T) {
	t.Parallel()
	root := testenv.Physical(t)
	modinfo := testenv.Program(t, "modinfo")
	path := filepath.Join(t.TempDir(), "initrd.img")
	report := buildOf(t, root, path, standIn(t), true)
	if len(report.MissingTools) > 0 || report.LoadedModules[0] != "ipmi_devintf" {
		t.Errorf("missing tools %v, loaded modules %v", report.MissingTools, report.LoadedModules)
	}
	dir := unpacked(t, path)
	version := onlyName(t, filepath.Join(root, "usr/lib/modules"))
	for _, d := range drivers {
		if out, err := exec.Command("modprobe", "-d", dir, "-S", version, "--show-depends", d).CombinedOutput(); err != nil {
			t.Errorf("driver %s: %v\n%s", d, err, out)
		}
	}
	for driver, some := range map[string]bool{"mlx5_core": false, "ice": true, "bnx2x": true, "bnx2": true, "qed": true, "qede": false, "tg3": true,
		"megaraid_sas": false, "mpt3sas": false, "qla2xxx": true, "r8169": true} {
		out, err := exec.Command(modinfo, "-b", root, "-k", version, "-F", "firmware", driver).Output()
		if err != nil {
			t.Fatalf("modinfo %s: %v", driver, err)
		}
		found := 0
		for _, name := range strings.Fields(string(out)) {
			found += sameFirmware(t, root, dir, name)
		}
		if some && found == 0 {
			t.Errorf("the image has no firmware for %s: the test proves nothing", driver)
		}
	}
	wantNothingOf(t, dir)
}

// sameFirmware checks that the firmware files of a name that the image has are in the initrd, and returns how many.
func sameFirmware(t *testing.T, root, dir, name string) (found int) {
	t.Helper()
	for _, suffix := range []string{"", ".xz", ".zst"} {
		files, err := filepath.Glob(filepath.Join(root, "usr/lib/firmware", name+suffix))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			want, err := os.ReadFile(f)
			if err != nil {
				continue // a link to nowhere
			}
			found++
			rel, _ := filepath.Rel(root, f)
			if got, err := os.ReadFile(filepath.Join(dir, rel)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("firmware %s is not in the initrd: %v", rel, err)
			}
		}
	}
	return found
}

// wantNothingOf fails for graphics, sound and wireless, drivers and firmware.
func wantNothingOf(t *testing.T, dir string) {
	t.Helper()
	for _, pattern := range []string{
		"usr/lib/modules/*/kernel/sound", "usr/lib/modules/*/kernel/drivers/gpu", "usr/lib/modules/*/kernel/drivers/net/wireless",
		"usr/lib/firmware/i915", "usr/lib/firmware/nvidia", "usr/lib/firmware/mediatek", "usr/lib/firmware/rtw*", "usr/lib/firmware/iwlwifi*",
	} {
		if found, err := filepath.Glob(filepath.Join(dir, pattern)); err != nil || len(found) > 0 {
			t.Errorf("%v is in the initrd, %v", found, err)
		}
	}
}

func onlyName(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%d names in %s, %v", len(entries), dir, err)
	}
	return entries[0].Name()
}
