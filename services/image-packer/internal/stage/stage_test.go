package stage_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/luna-hpc/luna/services/image-packer/internal/stage"
	"github.com/luna-hpc/luna/services/image-packer/internal/tree"
)

// newImage makes an image with merged /usr out of files and links ("-> target").
func newImage(t *testing.T, files map[string]string) tree.Tree {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if len(content) > 3 && content[:3] == "-> " {
			err = os.Symlink(content[3:], p)
		} else {
			err = os.WriteFile(p, []byte(content), 0o4755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return tree.At(root)
}

var merged = map[string]string{
	"bin": "-> usr/bin", "sbin": "-> usr/sbin", "lib": "-> usr/lib", "lib64": "-> usr/lib64",
	"usr/bin/bash": "shell", "usr/bin/sh": "-> bash", "usr/sbin/x": "", "usr/lib64/x": "",
	"usr/bin/awk": "-> /etc/alternatives/awk", "etc/alternatives/awk": "-> /usr/bin/mawk", "usr/bin/mawk": "awk",
	"usr/bin/zcat":               "#!/bin/sh\nexec gzip\n",
	"usr/lib/firmware/a/one.bin": "1", "usr/lib/firmware/a/two.bin": "-> one.bin",
}

// listing describes all names below root.
func listing(t *testing.T, root tree.Tree) map[string]string {
	t.Helper()
	got := make(map[string]string)
	err := filepath.WalkDir(root.String(), func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root.String(), p)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			return nil
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(p)
			got[name] = "-> " + target
			return err
		}
		data, err := os.ReadFile(p)
		got[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestAdd(t *testing.T) {
	image := newImage(t, merged)
	s, err := stage.New(t.TempDir(), image)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/bin/awk", "/usr/bin/zcat"} {
		if err := s.Add(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.AddTree("lib/firmware"); err != nil {
		t.Fatal(err)
	}
	if err := s.Write("lib/modules/6.1/modules.dep", []byte("dep"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.Symlink("usr/bin/luna-agent", "init"); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"bin": "-> usr/bin", "sbin": "-> usr/sbin", "lib": "-> usr/lib", "lib64": "-> usr/lib64",
		"usr/bin/awk": "-> /etc/alternatives/awk", "etc/alternatives/awk": "-> /usr/bin/mawk", "usr/bin/mawk": "awk",
		"usr/bin/zcat": "#!/bin/sh\nexec gzip\n", "usr/bin/sh": "-> bash", "usr/bin/bash": "shell",
		"usr/lib/firmware/a/one.bin": "1", "usr/lib/firmware/a/two.bin": "-> one.bin",
		"usr/lib/modules/6.1/modules.dep": "dep", "init": "-> usr/bin/luna-agent",
	}
	if diff := cmp.Diff(want, listing(t, s.Root)); diff != "" {
		t.Errorf("stage (-want +got):\n%s", diff)
	}
	if info, err := s.Root.Stat("bin/mawk"); err != nil || info.Mode() != 0o755 {
		t.Errorf("mawk: %v, %v, want plain 0755", info, err)
	}
	if err := s.Add("usr/bin/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestWriteReplacesAndRemoves(t *testing.T) {
	image := newImage(t, merged)
	s, err := stage.New(t.TempDir(), image)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Add("bin/bash"); err != nil {
		t.Fatal(err)
	}
	if err := s.Write("bin/bash", []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := s.Root.ReadFile("usr/bin/bash"); err != nil || string(data) != "other" {
		t.Errorf("got %q, %v", data, err)
	}
	if data, err := image.ReadFile("usr/bin/bash"); err != nil || string(data) != "shell" {
		t.Errorf("the image now has %q, %v", data, err)
	}
	if err := s.Remove("bin/bash"); err != nil {
		t.Fatal(err)
	}
	if s.Root.IsFile("usr/bin/bash") {
		t.Error("still there")
	}
}

func TestSplitUsr(t *testing.T) {
	image := newImage(t, map[string]string{"bin/bash": "shell", "usr/bin/awk": "awk", "lib/x": "", "usr/lib/y": ""})
	s, err := stage.New(t.TempDir(), image)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Add("bin/bash"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"bin/bash": "shell"}, listing(t, s.Root)); diff != "" {
		t.Error(diff)
	}
}
