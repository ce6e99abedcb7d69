package hardware

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	bootscript "github.com/luna-hpc/luna/proto/bootscript/v1"
	"github.com/luna-hpc/luna/services/agent/internal/sysroot"
)

var update = flag.Bool("update", false, "write what is found into the recorded trees")

const found = "found.json"

// plant makes the files of an archive below a new folder; a name with an
// arrow is a link.
func plant(t *testing.T, a *txtar.Archive) string {
	t.Helper()
	root := t.TempDir()
	for _, f := range a.Files {
		name, target, link := strings.Cut(f.Name, " -> ")
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case link:
			err = os.Symlink(target, path)
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o755)
		default:
			err = os.WriteFile(path, f.Data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// TestMachines reads what the kernels of machines show.
func TestMachines(t *testing.T) {
	machines, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(machines) < 2 {
		t.Fatal(machines, err)
	}
	for _, path := range machines {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) { recorded(t, path) })
	}
}

func recorded(t *testing.T, path string) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := Read(plant(t, archive))
	last := &archive.Files[len(archive.Files)-1]
	if last.Name != found {
		t.Fatalf("the last file is %s, not %s", last.Name, found)
	}
	if *update {
		last.Data = []byte(indented(t, got))
		if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := &bootscript.Hardware{}
	if err := protojson.Unmarshal(last.Data, want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}
}

// indented writes a message as a person reads it; protojson's spaces vary.
func indented(t *testing.T, m proto.Message) string {
	t.Helper()
	text := protojson.MarshalOptions{UseProtoNames: true, Multiline: true, Indent: " "}.Format(m)
	return strings.ReplaceAll(text, ":  ", ": ") + "\n"
}

func TestEmptyTree(t *testing.T) {
	if h := Read(t.TempDir()); !proto.Equal(h, &bootscript.Hardware{}) {
		t.Errorf("found %v in nothing", h)
	}
}

func TestTextsAreCleaned(t *testing.T) {
	for in, want := range map[string]string{
		"  DISK   2 \n": "DISK 2", "a\x00b\x1b[2J\xff": "a b [2J", "\u202eabc": "abc", "": "",
		strings.Repeat("é", 100): strings.Repeat("é", 64), strings.Repeat("x", 127) + "é": strings.Repeat("x", 127),
	} {
		if got := clean(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestHostKeys(t *testing.T) {
	root := plant(t, txtar.Parse([]byte(`
-- etc/ssh/ssh_host_ed25519_key --
private
-- etc/ssh/ssh_host_ed25519_key.pub --
ssh-ed25519 AAAA root@builder
-- etc/ssh/ssh_host_ed25519_key-cert.pub --
ssh-ed25519-cert-v01@openssh.com AAAA root@builder
-- etc/ssh/ssh_host_rsa_key -> /keys/rsa --
-- etc/ssh/ssh_host_rsa_key.pub -> /keys/rsa.pub --
-- keys/rsa --
private
-- keys/rsa.pub --
ssh-rsa BBBB
-- etc/ssh/user_ca.pub --
ssh-ed25519 CCCC the authority of users
-- etc/ssh/ssh_host_ecdsa_key --
private
-- etc/ssh/ssh_host_ecdsa_key.pub --
`)))
	tree, err := sysroot.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	keys, err := HostKeys(tree)
	if want := []string{"ssh-ed25519 AAAA", "ssh-rsa BBBB"}; err != nil || !cmp.Equal(keys, want) {
		t.Errorf("%q, %v", keys, err)
	}
	empty, err := sysroot.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	if keys, err := HostKeys(empty); err != nil || keys != nil {
		t.Errorf("a system without ssh: %q, %v", keys, err)
	}
}

func TestLines(t *testing.T) {
	h := &bootscript.Hardware{Vendor: "Luna Works", Product: "PX-2", Firmware: "uefi", FirmwareVersion: "1.2", CpuModel: "Fast 9", CpuSockets: 2, CpuCores: 4, CpuThreads: 8,
		MemoryBytes: 64 << 30, Disks: []*bootscript.Disk{{Name: "sda", Bytes: 480e9, Serial: "S1"}}, Nics: []*bootscript.Nic{{Name: "ens3", Mac: "52:54:00:00:00:01", Link: true}},
		Bmc: &bootscript.Bmc{Address: "10.50.0.1"}}
	want := []string{"Luna Works, PX-2, uefi 1.2", "2 × Fast 9, 4 cores, 8 threads, 64.0 GiB memory", "disk sda, 480.0 GB, serial S1", "card ens3, 52:54:00:00:00:01, link", "BMC 10.50.0.1"}
	if got := Lines(h); !cmp.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestWhatIsSavedIsLoaded(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(dir); err == nil {
		t.Error("loaded what was not saved")
	}
	h := &bootscript.Hardware{Product: "PX-2", Disks: []*bootscript.Disk{{Name: "sda"}}}
	if err := Save(dir, h); err != nil {
		t.Fatal(err)
	}
	if got, err := Load(dir); err != nil || !proto.Equal(got, h) {
		t.Errorf("%v, %v", got, err)
	}
}
