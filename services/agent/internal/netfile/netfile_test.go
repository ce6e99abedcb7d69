package netfile

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/luna-hpc/luna/services/agent/internal/sysroot"
)

var update = flag.Bool("update", false, "write the files that the tests expect")

// image makes the files of an archive whose names begin with in/. A text that
// begins with "-> " is a symbolic link.
func image(t *testing.T, files []txtar.File) (*sysroot.Tree, string) {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		name, ok := strings.CutPrefix(f.Name, "in/")
		if !ok {
			continue
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		err := error(nil)
		if target, ok := strings.CutPrefix(string(f.Data), "-> "); ok {
			err = os.Symlink(strings.TrimSpace(target), path)
		} else {
			err = os.WriteFile(path, f.Data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	tree, err := sysroot.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	return tree, dir
}

// machine has some cards, by their MACs.
type machine map[string]string

var usual = machine{
	"52:54:00:00:00:01": "ens3", "52:54:00:00:00:02": "ens4", "52:54:00:00:00:03": "ens5",
	"80:00:00:48:fe:80:00:00:00:00:00:00:f4:52:14:03:00:7b:cb:a1": "ib0",
}

func (m machine) Name(mac string) (string, error) {
	if name, ok := m[mac]; ok {
		return name, nil
	}
	return "", fmt.Errorf("no card has %s", mac)
}

func (m machine) MAC(name string) (string, error) {
	for mac, n := range m {
		if n == name {
			return mac, nil
		}
	}
	return "", nil
}

func find(files []txtar.File, name string) []byte {
	for _, f := range files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

// TestGolden writes the network of each archive in testdata/cases into the image that
// stands there and compares each file that changed.
func TestGolden(t *testing.T) {
	cases, err := filepath.Glob("testdata/cases/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("cases %v, %v", cases, err)
	}
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) { golden(t, path) })
	}
}

func golden(t *testing.T, path string) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := written(t, archive.Files, find(archive.Files, "network.json"))
	if *update {
		rewrite(t, path, archive, got)
	}
	var want []txtar.File
	for _, f := range archive.Files {
		if strings.HasPrefix(f.Name, "out") {
			want = append(want, f)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
}

// written writes a network into an image, and again, which must change nothing.
func written(t *testing.T, files []txtar.File, network []byte) []txtar.File {
	t.Helper()
	tree, dir := image(t, files)
	n, err := Parse(bytes.NewReader(network))
	if err != nil {
		t.Fatal(err)
	}
	r, err := n.Write(tree, usual)
	got := outcome(t, dir, r, err)
	if err != nil {
		return got
	}
	if r, err := n.Write(tree, usual); err != nil || len(r.Changed) != 0 {
		t.Errorf("the second time changed %v, %v", r.Changed, err)
	}
	return got
}

// TestEveryManager writes each network of networks.txtar into each of the
// images and compares with testdata/written.
func TestEveryManager(t *testing.T) {
	for _, network := range networks(t) {
		for name, files := range images(t) {
			t.Run(name+"/"+network.Name, func(t *testing.T) {
				got := &txtar.Archive{Files: written(t, files, network.Data)}
				path := filepath.Join("testdata", "written", name+"-"+network.Name+".txtar")
				if *update {
					if err := os.WriteFile(path, txtar.Format(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := txtar.ParseFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want.Files, got.Files); diff != "" {
					t.Error("(-want +got)\n" + diff)
				}
			})
		}
	}
}

func networks(t *testing.T) []txtar.File {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/networks.txtar")
	if err != nil {
		t.Fatal(err)
	}
	return archive.Files
}

// images are those of testdata/images by their names.
func images(t *testing.T) map[string][]txtar.File {
	t.Helper()
	paths, err := filepath.Glob("testdata/images/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("images %v, %v", paths, err)
	}
	all := map[string][]txtar.File{}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(path), ".txtar")] = archive.Files
	}
	return all
}

// TestTextAndTypesSayTheSame writes a bond, VLANs and bridges that the types
// describe, and the same described by the free text of ifcfg files.
func TestTextAndTypesSayTheSame(t *testing.T) {
	for name, files := range images(t) {
		if strings.HasPrefix(name, "ifcfg") {
			continue // There the text is kept.
		}
		for _, kind := range []string{"bond", "bridge"} {
			typed := written(t, files, find(networks(t), kind))
			text := written(t, files, find(networks(t), "text-of-"+kind))
			if diff := cmp.Diff(typed, text); diff != "" {
				t.Errorf("%s, %s (-types +text)\n%s", name, kind, diff)
			}
		}
	}
}

// outcome is what Write said, and each changed file with its mode.
func outcome(t *testing.T, dir string, r Result, err error) []txtar.File {
	t.Helper()
	said := fmt.Sprintf("%s of %v\n", r.Manager, r.Enabled)
	if err != nil {
		said = fmt.Sprintf("error: %v\n", err)
	}
	files := []txtar.File{{Name: "out", Data: []byte(said)}}
	for _, name := range r.Changed {
		text, mode := []byte("removed\n"), fs.FileMode(0)
		if info, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			mode = info.Mode()
			if text, err = os.ReadFile(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		files = append(files, txtar.File{Name: fmt.Sprintf("out/%s %#o", name, mode), Data: text})
	}
	return files
}

func rewrite(t *testing.T, path string, a *txtar.Archive, got []txtar.File) {
	t.Helper()
	files := a.Files
	a.Files = nil
	for _, f := range files {
		if !strings.HasPrefix(f.Name, "out") {
			a.Files = append(a.Files, f)
		}
	}
	a.Files = append(a.Files, got...)
	if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{"interfaces":[{"name":"BOOTIF"}]}`, "it needs a MAC address"},
		{`{"interfaces":[{"name":"a/b","mac":""}]}`, `"a/b" is no name of an interface`},
		{`{"interfaces":[{"name":"eth1","mac":"5254"}]}`, `"5254" is no MAC address`},
		{`{"interfaces":[{"name":"eth1","addresses":["10.0.0.1"]}]}`, "no '/'"},
		{`{"interfaces":[{"name":"eth1","addresses":[""]}]}`, "an address is empty"},
		{`{"interfaces":[{"name":"eth1","mtu":-1}]}`, "MTU -1"},
		{`{"interface":[]}`, `unknown field "interface"`},
		{`{"dns":[""]}`, "a name server has no address"},
		{`{"search":["a b"]}`, `"a b" is no domain`},
	} {
		if _, err := Parse(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.text, err, c.want)
		}
	}
}

func TestNothingEnabled(t *testing.T) {
	tree, _ := image(t, nil)
	if _, err := (Network{}).Write(tree, usual); !errors.Is(err, ErrNone) {
		t.Errorf("got %v", err)
	}
}

func TestSourced(t *testing.T) {
	for _, c := range []struct {
		text  string
		added bool
	}{
		{"source /etc/network/interfaces.d/*\n", false},
		{"source interfaces.d/*\n", false},
		{"source-directory /etc/network/interfaces.d/\n", false},
		{"source-directory interfaces.d\n", false},
		{"source /etc/network/interfaces.d/*.cfg\n", true},
		{"# source /etc/network/interfaces.d/*\n", true},
		{"auto lo", true},
	} {
		got := sourced(c.text)
		if c.added != strings.HasSuffix(got, "\n\nsource /etc/network/interfaces.d/luna\n") || (got == c.text) == c.added {
			t.Errorf("%q became %q", c.text, got)
		}
		if sourced(got) != got {
			t.Errorf("%q changes again", got)
		}
	}
}

func FuzzDisown(f *testing.F) {
	f.Add("auto lo ens3\niface ens3 inet dhcp\n  up a \\\n b\n\niface lo inet loopback\n")
	f.Fuzz(func(t *testing.T, text string) {
		names := map[string]bool{"ens3": true}
		once := disown(text, names)
		if again := disown(once, names); again != once && !strings.Contains(text, "\\") {
			t.Errorf("%q became %q, then %q", text, once, again)
		}
	})
}
