package sysroot

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// system makes a tree like that of an installed system: name to content, "->x" is a link.
func system(t *testing.T, files map[string]string) (*Tree, string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		err := error(nil)
		if target, ok := strings.CutPrefix(text, "->"); ok {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(text), 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	tree, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	return tree, dir
}

func TestResolve(t *testing.T) {
	tree, _ := system(t, map[string]string{
		"usr/lib/systemd/systemd": "x", "lib": "->usr/lib", "sbin": "->/usr/sbin", "usr/sbin/init": "->/lib/systemd/systemd",
		"out": "->../../../../etc/passwd", "loop": "->loop", "etc/a": "->b", "etc/b": "->../usr/./lib/",
	})
	for name, want := range map[string]string{
		"sbin/init": "usr/lib/systemd/systemd", "out": "etc/passwd", "etc/a/x": "usr/lib/x", "none/here": "none/here",
		".": ".", "/lib/../..//lib": "usr/lib",
	} {
		if got, err := tree.resolve(name); err != nil || got != want {
			t.Errorf("resolve(%q) = %q, %v; want %q", name, got, err, want)
		}
	}
	if _, err := tree.resolve("loop"); err == nil || !strings.Contains(err.Error(), "too many symbolic links") {
		t.Errorf("a loop gave %v", err)
	}
}

func TestWrite(t *testing.T) {
	tree, dir := system(t, map[string]string{
		"etc/hostname": "old\n", "etc/dangling": "->/run/none", "etc/real": "r", "etc/link": "->/etc/real", "etc/empty/.keep": "",
	})
	for _, c := range []struct {
		name string
		file string
	}{
		{"etc/hostname", "etc/hostname"},
		{"etc/new/deep/file", "etc/new/deep/file"},
		{"etc/dangling", "etc/dangling"},
		{"etc/link", "etc/real"},
	} {
		for i, want := range []bool{true, false} {
			if changed, err := tree.Write(c.name, []byte("luna\n"), 0o640); err != nil || changed != want {
				t.Errorf("write %d of %s: changed %t, %v", i+1, c.name, changed, err)
			}
		}
		info, err := os.Lstat(filepath.Join(dir, c.file))
		if err != nil || info.Mode() != 0o640 {
			t.Errorf("%s: %v, %v", c.file, info, err)
		}
		if got, err := tree.Read(c.name); err != nil || string(got) != "luna\n" {
			t.Errorf("%s holds %q, %v", c.name, got, err)
		}
	}
	if tree.Link("etc/link") != "/etc/real" {
		t.Error("a link that leads somewhere was replaced")
	}
	if _, err := tree.Write("etc/empty", nil, 0o644); err == nil {
		t.Error("wrote over a directory that is not empty")
	}
}

func TestTreeOutOfReach(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(outside, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	tree, _ := system(t, map[string]string{"etc/hosts": "->" + outside})
	if _, err := tree.Write("etc/hosts", []byte("yours"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(outside); err != nil || string(got) != "mine" {
		t.Errorf("the file outside holds %q, %v", got, err)
	}
}

func TestListAndRemove(t *testing.T) {
	tree, _ := system(t, map[string]string{"d/b": "1", "d/a": "->nowhere", "absolute": "->/d"})
	if got, err := tree.List("absolute"); err != nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("list %v, %v", got, err)
	}
	if got, err := tree.List("none"); err != nil || len(got) != 0 {
		t.Errorf("list %v, %v", got, err)
	}
	if tree.Exists("d/a") || !tree.Exists("absolute/b") {
		t.Error("exists is wrong")
	}
	for _, want := range []bool{true, false} {
		if was, err := tree.Remove("absolute/a"); err != nil || was != want {
			t.Errorf("remove: %t, %v", was, err)
		}
	}
	if data, err := tree.Read("d/a"); data != nil || err != nil {
		t.Errorf("read %q, %v", data, err)
	}
}
