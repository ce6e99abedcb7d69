package modalias

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/sys/unix"
)

const aliases = `# Aliases extracted from modules themselves.
alias pci:v00008086d000010D3sv*sd*bc*sc*i* e1000e
alias pci:v00008086d*sv*sd*bc02sc00i* generic-net
alias usb:v*p*d*dc*dsc*dp*ic03isc*ip*in* usbhid
alias virtio:d00000001v* virtio_net
alias acpi*:PNP0A0[3-8]:* pci_root
alias cpu:type:x86,ven*fam*mod*:feature:*0099* aesni_intel
alias fs-ext4 ext4
alias bad:[ broken
`

func index(t *testing.T) *Index {
	t.Helper()
	x, err := Read(fstest.MapFS{
		"lib/modules/6.1/modules.alias":   {Data: []byte(aliases)},
		"lib/modules/6.1/modules.softdep": {Data: []byte("softdep ext4 pre: crc32c mb-cache post: late\nsoftdep e1000e post: ptp\n")},
		"etc/modprobe.d/site.conf":        {Data: []byte("# site\nblacklist generic_net\ninstall usb-storage /bin/false\noptions e1000e InterruptThrottleRate=1\noptions e1000e debug=2\n\nremove x\n")},
	}, "6.1")
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestMatch(t *testing.T) {
	x := index(t)
	for modalias, want := range map[string][]string{
		"pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00":                   {"e1000e"},
		"usb:v046DpC31Cd6402dc00dsc00dp00ic03isc01ip01in00":                       {"usbhid"},
		"virtio:d00000001v00001AF4":                                               {"virtio_net"},
		"acpi:PNP0A08:PNP0A03:":                                                   {"pci_root"},
		"acpi:PNP0A09:":                                                           nil,
		"cpu:type:x86,ven0000fam0006mod003F:feature:,0000,0099,00A0,/some/slash/": {"aesni_intel"},
		"nothing": nil,
	} {
		if got := x.Match(modalias); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", modalias, got, want)
		}
	}
}

func TestOrderAndOptions(t *testing.T) {
	x := index(t)
	if got, want := x.Order("ext4"), []string{"crc32c", "mb_cache", "ext4", "late"}; !slices.Equal(got, want) {
		t.Errorf("order %v", got)
	}
	if got := x.Order("virtio-net"); !slices.Equal(got, []string{"virtio_net"}) {
		t.Errorf("order %v", got)
	}
	if got := x.Options("e1000e"); got != "InterruptThrottleRate=1 debug=2" {
		t.Errorf("options %q", got)
	}
	if !x.denied["usb_storage"] {
		t.Error("usb-storage is allowed")
	}
}

func TestNoAliases(t *testing.T) {
	if _, err := Read(fstest.MapFS{}, "6.1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func device(t *testing.T, sys, name, modalias string) {
	t.Helper()
	dir := filepath.Join(sys, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "modalias"), []byte(modalias+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestWalkFollowsBuses has a driver bring a device of its own.
func TestWalkFollowsBuses(t *testing.T) {
	sys := t.TempDir()
	device(t, sys, "pci0/card", "pci:v00008086d000010D3sv0sd0bc02sc00i00")
	device(t, sys, "pci0/empty", "")
	var log bytes.Buffer
	var loaded []string
	l := &Loader{index: index(t), log: slog.New(slog.NewTextHandler(&log, nil)), done: map[string]bool{}}
	l.probe = func(module, options string) error {
		loaded = append(loaded, strings.TrimSpace(module+" "+options))
		switch module {
		case "e1000e":
			device(t, sys, "pci0/card/virtio", "virtio:d00000001v0")
		case "ptp":
			return errors.New("no such device")
		}
		return nil
	}
	for range 2 {
		if err := l.Walk(sys); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"e1000e InterruptThrottleRate=1 debug=2", "ptp", "virtio_net"}; !slices.Equal(loaded, want) {
		t.Errorf("loaded %q", loaded)
	}
	if !strings.Contains(log.String(), `err="load ptp: no such device"`) || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("logged %s", &log)
	}
}

func TestNamedLoadsOnce(t *testing.T) {
	var loaded []string
	l := &Loader{index: index(t), done: map[string]bool{}, probe: func(module, _ string) error {
		loaded = append(loaded, module)
		return map[string]error{"ptp": errors.New("no such device"), "e1000e": unix.EEXIST}[module]
	}}
	if err := l.Named(t.Context(), "e1000e"); err == nil || err.Error() != "load ptp: no such device" {
		t.Errorf("got %v", err)
	}
	if err := l.Named(t.Context(), "e1000e"); err != nil || !slices.Equal(loaded, []string{"e1000e", "ptp"}) {
		t.Errorf("loaded %q, %v", loaded, err)
	}
}

func TestAdded(t *testing.T) {
	for message, want := range map[string]string{
		"add@/devices/x\x00ACTION=add\x00MODALIAS=virtio:d1\x00": "virtio:d1",
		"ACTION=remove\x00MODALIAS=virtio:d1\x00":                "",
		"ACTION=add\x00SUBSYSTEM=tty\x00":                        "",
	} {
		if got := added([]byte(message)); got != want {
			t.Errorf("%q: %q", message, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(aliases, "pci:v0")
	f.Fuzz(func(_ *testing.T, text, modalias string) {
		x := &Index{soft: map[string]softdep{}, denied: map[string]bool{}, options: map[string]string{}}
		if x.read(strings.NewReader(text)) == nil {
			for _, m := range x.Match(modalias) {
				x.Order(m)
			}
		}
	})
}
