package module_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/luna-hpc/luna/services/image-packer/internal/module"
	"github.com/luna-hpc/luna/services/image-packer/internal/tree"
)

// newSet makes an image with these files in its kernel's directory.
func newSet(t *testing.T, files map[string]string) *module.Set {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		p := filepath.Join(root, "lib/modules/6.1", name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, err := module.Read(tree.At(root), "6.1")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestChoose(t *testing.T) {
	s := newSet(t, map[string]string{
		"modules.dep": strings.Join([]string{
			"kernel/fs/ext4/ext4.ko: kernel/lib/crc16.ko kernel/fs/jbd2/jbd2.ko kernel/fs/mbcache.ko",
			"kernel/lib/crc16.ko:", "kernel/lib/crc-itu-t.ko:", "kernel/fs/jbd2/jbd2.ko:", "kernel/fs/mbcache.ko:",
			"kernel/fs/ocfs2/ocfs2.ko:", "kernel/fs/btrfs/btrfs.ko:", "kernel/fs/nfs/nfs.ko: kernel/net/sunrpc/sunrpc.ko",
			"kernel/net/sunrpc/sunrpc.ko:", "kernel/net/sunrpc/xprtrdma/rpcrdma.ko:", "kernel/drivers/block/rbd.ko:",
			"kernel/crypto/crc32c_generic.ko:", "kernel/crypto/xor.ko:", "kernel/crypto/anubis.ko:",
			"kernel/drivers/net/ethernet/intel/e1000e/e1000e.ko.xz: kernel/drivers/ptp/ptp.ko.xz",
			"kernel/drivers/ptp/ptp.ko.xz:",
			"kernel/drivers/net/wireless/ath/ath10k/ath10k_pci.ko:", "kernel/drivers/gpu/drm/i915/i915.ko:", "kernel/sound/soundcore.ko:",
			"kernel/drivers/char/ipmi/ipmi_si.ko:", "kernel/drivers/usb/serial/usbserial.ko:", "kernel/drivers/i2c/i2c-core.ko:",
			"kernel/arch/x86/crypto/aesni-intel.ko:", "kernel/arch/x86/crypto/serpent-avx2.ko:", "kernel/arch/x86/kvm/kvm.ko:",
			"extra/mlnx-ofa_kernel/drivers/net/ethernet/mellanox/mlx5/core/mlx5_core.ko:",
			"extra/card.ko:", "updates/dkms/nvidia.ko:",
		}, "\n"),
		"modules.softdep":        "# soft\nsoftdep ext4 pre: crc32c_generic post: xor\n",
		"modules.builtin":        "kernel/drivers/char/ipmi/ipmi_msghandler.ko\n",
		"extra/card.ko":          string(object([]string{"alloc_etherdev_mqs", "printk"})),
		"updates/dkms/nvidia.ko": string(object([]string{"drm_dev_alloc", "register_netdevice"})),
	})
	got, err := s.Choose([]string{"crc-itu-t", "-e1000e", "ipmi_msghandler", "ipmi_watchdog", "-aesni-intel", ""}, has("mkfs.btrfs"))
	if err != nil {
		t.Fatal(err)
	}
	want := module.Choice{
		Paths: []string{
			"extra/card.ko",
			"extra/mlnx-ofa_kernel/drivers/net/ethernet/mellanox/mlx5/core/mlx5_core.ko",
			"kernel/crypto/crc32c_generic.ko", "kernel/crypto/xor.ko",
			"kernel/drivers/char/ipmi/ipmi_si.ko",
			"kernel/fs/btrfs/btrfs.ko", "kernel/fs/ext4/ext4.ko", "kernel/fs/jbd2/jbd2.ko", "kernel/fs/mbcache.ko",
			"kernel/lib/crc-itu-t.ko", "kernel/lib/crc16.ko",
		},
		Asked:   []string{"crc_itu_t"},
		Missing: []string{"ipmi_watchdog"},
		Left: []string{
			"kernel/arch/x86/crypto/serpent-avx2.ko", "kernel/arch/x86/kvm/kvm.ko", "kernel/crypto/anubis.ko", "kernel/drivers/block/rbd.ko",
			"kernel/drivers/gpu/drm/i915/i915.ko", "kernel/drivers/i2c/i2c-core.ko", "kernel/drivers/net/wireless/ath/ath10k/ath10k_pci.ko",
			"kernel/drivers/ptp/ptp.ko.xz", "kernel/drivers/usb/serial/usbserial.ko", "kernel/fs/nfs/nfs.ko", "kernel/fs/ocfs2/ocfs2.ko",
			"kernel/net/sunrpc/sunrpc.ko", "kernel/net/sunrpc/xprtrdma/rpcrdma.ko", "kernel/sound/soundcore.ko", "updates/dkms/nvidia.ko",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("modules (-want +got):\n%s", diff)
	}
	all, err := s.Choose(nil, has("mount.nfs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"kernel/fs/nfs/nfs.ko", "kernel/net/sunrpc/xprtrdma/rpcrdma.ko", "kernel/drivers/net/ethernet/intel/e1000e/e1000e.ko.xz", "kernel/drivers/ptp/ptp.ko.xz", "kernel/arch/x86/crypto/aesni-intel.ko"} {
		if !strings.Contains(strings.Join(all.Paths, " "), file) {
			t.Errorf("%s is not chosen", file)
		}
	}
}

func TestWithoutAModuleNothingThatNeedsIt(t *testing.T) {
	s := newSet(t, map[string]string{"modules.dep": strings.Join([]string{
		"kernel/drivers/net/a.ko: kernel/lib/b.ko kernel/lib/c.ko", "kernel/lib/b.ko: kernel/lib/c.ko", "kernel/lib/c.ko:",
		"kernel/drivers/net/d.ko: kernel/lib/c.ko", "kernel/drivers/net/e.ko:",
	}, "\n")})
	got, err := s.Choose([]string{"a", "-b", "e", "c", "-e", "c"}, has(""))
	if err != nil {
		t.Fatal(err)
	}
	want := module.Choice{Paths: []string{"kernel/drivers/net/d.ko", "kernel/lib/c.ko"}, Asked: []string{"c"}, Missing: []string{"a"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("modules (-want +got):\n%s", diff)
	}
}

func TestDescribe(t *testing.T) {
	names, parts := module.Choice{Left: []string{
		"kernel/drivers/net/wireless/ath/ath10k/ath10k_pci.ko.xz", "kernel/drivers/net/wireless/b43/b43.ko", "kernel/drivers/net/geneve.ko",
		"kernel/drivers/net/ethernet/new/card.ko", "kernel/drivers/block/drbd/drbd.ko", "kernel/drivers/gpu/drm/i915/i915.ko", "kernel/sound/soundcore.ko",
		"kernel/fs/ocfs2/ocfs2.ko", "kernel/fs/nls/nls_koi8-r.ko", "updates/dkms/nvidia.ko", "extra/mine/drivers/scsi/disk.ko", "kernel/arch/x86/kvm/kvm.ko",
	}}.Describe()
	if diff := cmp.Diff([]string{"card", "disk", "geneve", "ocfs2"}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	want := []string{"arch (1)", "drivers/block/drbd (1)", "drivers/gpu (1)", "drivers/net/wireless (2)", "fs/nls (1)", "sound (1)", "updates (1)"}
	if diff := cmp.Diff(want, parts); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
}

// has is an image with one program.
func has(program string) func(string) bool { return func(p string) bool { return p == program } }

func TestLoad(t *testing.T) {
	plain := object(nil, "firmware=bnx2/bnx2-mips-09-6.2.1b.fw", "alias=pci:v1", "firmware=e100/*.bin")
	var packed, squeezed bytes.Buffer
	x, err := xz.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewWriter(&squeezed)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []interface {
		Write([]byte) (int, error)
		Close() error
	}{x, z} {
		if _, err := w.Write(plain); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := newSet(t, map[string]string{"modules.dep": "", "a.ko": string(plain), "a.ko.xz": packed.String(), "a.ko.zst": squeezed.String()})
	for _, name := range []string{"a.ko", "a.ko.xz", "a.ko.zst"} {
		data, err := s.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := module.Firmware(data)
		if diff := cmp.Diff([]string{"bnx2/bnx2-mips-09-6.2.1b.fw", "e100/*.bin"}, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
		if module.Plain(name) != "a.ko" || module.Name(name) != "a" {
			t.Errorf("%s is %s, %s", name, module.Plain(name), module.Name(name))
		}
	}
}

func TestReadNeedsDepmod(t *testing.T) {
	if _, err := module.Read(tree.At(t.TempDir()), "6.1"); err == nil || !strings.Contains(err.Error(), "depmod") {
		t.Errorf("got %v", err)
	}
}

// object is a relocatable ELF file that imports symbols and has these fields in .modinfo.
func object(imports []string, info ...string) []byte {
	le := binary.LittleEndian
	strs, names := []byte{0}, []byte("\x00.modinfo\x00.symtab\x00.strtab\x00")
	syms := make([]byte, 24)
	for _, name := range imports {
		syms = le.AppendUint32(syms, uint32(len(strs)))
		syms = append(syms, 0x10, 0, 0, 0) // global, undefined
		syms = append(syms, make([]byte, 16)...)
		strs = append(append(strs, name...), 0)
	}
	modinfo := []byte(strings.Join(info, "\x00") + "\x00")
	b := []byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	b = le.AppendUint32(b, 1|62<<16)
	b = le.AppendUint32(b, 1)
	b = append(b, make([]byte, 16)...)
	at := len(b)
	b = append(b, make([]byte, 24)...)
	var headers []byte
	section := func(name, kind, link uint32, entry uint64, data []byte) {
		headers = le.AppendUint32(le.AppendUint32(headers, name), kind)
		for _, v := range []uint64{0, 0, uint64(len(b)), uint64(len(data))} {
			headers = le.AppendUint64(headers, v)
		}
		headers = le.AppendUint32(le.AppendUint32(headers, link), 1)
		headers = le.AppendUint64(le.AppendUint64(headers, 1), entry)
		b = append(b, data...)
	}
	section(0, 0, 0, 0, nil)
	section(1, 1, 0, 0, modinfo)
	section(10, 2, 3, 24, syms)
	section(18, 3, 0, 0, strs)
	section(18, 3, 0, 0, names)
	le.PutUint64(b[at:], uint64(len(b)))
	for i, v := range []uint16{64, 0, 0, 64, 5, 4} {
		le.PutUint16(b[at+12+2*i:], v)
	}
	return append(b, headers...)
}
