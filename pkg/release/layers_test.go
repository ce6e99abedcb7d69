package release_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/testenv"
)

// layerOf makes a layer by hand: "dir/", "link -> target", "name = other name", "name" with its name as content, each
// of the owner 3:4.
func layerOf(t *testing.T, entries ...string) []byte {
	t.Helper()
	var headers []tar.Header
	for _, e := range entries {
		hdr := tar.Header{Typeflag: tar.TypeReg, Name: e}
		if name, target, ok := strings.Cut(e, " -> "); ok {
			hdr = tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}
		} else if name, target, ok := strings.Cut(e, " = "); ok {
			hdr = tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target}
		} else if strings.HasSuffix(e, "/") {
			hdr.Typeflag = tar.TypeDir
		}
		headers = append(headers, hdr)
	}
	return layerWith(t, headers...)
}

func layerWith(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var raw bytes.Buffer
	tw := tar.NewWriter(&raw)
	for _, hdr := range headers {
		hdr.Format, hdr.Uid, hdr.Gid = tar.FormatPAX, 3, 4
		if hdr.Mode == 0 {
			hdr.Mode = 0o640
		}
		if hdr.ModTime.IsZero() {
			hdr.ModTime = time.Unix(1e9, 5)
		}
		if hdr.Typeflag == tar.TypeReg {
			hdr.Size = int64(len(hdr.Name))
		}
		must(t, tw.WriteHeader(&hdr))
		if hdr.Typeflag == tar.TypeReg {
			_, err := io.WriteString(tw, hdr.Name)
			must(t, err)
		}
	}
	must(t, tw.Close())
	return raw.Bytes()
}

// layered puts layers on each other.
func layered(t *testing.T, root string, layers ...[]byte) (err error) {
	t.Helper()
	l, err := release.NewLayers(root)
	must(t, err)
	defer func() { err = errors.Join(err, l.Close()) }()
	for _, data := range layers {
		if err := l.Add(t.Context(), bytes.NewReader(data)); err != nil {
			return err
		}
	}
	return l.Finish()
}

// outline names what is below root, as layerOf does.
func outline(t *testing.T, root string) string {
	t.Helper()
	var all []string
	must(t, filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		name, _ := filepath.Rel(root, p)
		switch {
		case d.IsDir():
			name += "/"
		case d.Type() == os.ModeSymlink:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			name += " -> " + target
		}
		all = append(all, name)
		return nil
	}))
	return strings.Join(all, ", ")
}

func TestLayersLieOnEachOther(t *testing.T) {
	testenv.Root(t)
	for name, c := range map[string]struct {
		layers [][]string
		want   string
	}{
		"names":                         {[][]string{{"./", "./a/", "/b", "c//d"}}, "a/, b, c/, c/d"},
		"a whiteout":                    {[][]string{{"a/", "a/x", "a/y"}, {"a/.wh.x"}}, "a/, a/y"},
		"a whiteout of a directory":     {[][]string{{"a/", "a/x/", "a/x/y", "z"}, {"a/.wh.x"}}, "a/, z"},
		"a whiteout of a link":          {[][]string{{"a/", "a/x", "l -> a"}, {".wh.l"}}, "a/, a/x"},
		"a whiteout of nothing":         {[][]string{{"a/"}, {"a/.wh.x", "b/c/.wh.x"}}, "a/"},
		"opaque":                        {[][]string{{"a/", "a/x/", "a/x/y", "a/z"}, {"a/", "a/.wh..wh..opq", "a/n"}}, "a/, a/n"},
		"opaque at the end":             {[][]string{{"a/", "a/x/", "a/x/y", "a/z"}, {"a/n", "a/x/", "a/x/m", "a/.wh..wh..opq"}}, "a/, a/n, a/x/, a/x/m"},
		"opaque root":                   {[][]string{{"a/", "b"}, {".wh..wh..opq", "c"}}, "c"},
		"a whiteout spares its layer":   {[][]string{{"a"}, {"a", ".wh.a"}}, "a"},
		"a whiteout before its name":    {[][]string{{"a/", "a/x"}, {".wh.a", "a/", "a/y"}}, "a/, a/y"},
		"a whiteout after its name":     {[][]string{{"a/", "a/x"}, {"a/", "a/y", ".wh.a"}}, "a/, a/y"},
		"a whiteout over what is new":   {[][]string{{"a/", "a/x"}, {"a/b/y", ".wh.a"}}, "a/, a/b/, a/b/y"},
		"a later layer hides":           {[][]string{{"a"}, {"a"}, {".wh.a"}}, ""},
		"a file for a directory":        {[][]string{{"a/", "a/b/", "a/b/c"}, {"a"}}, "a"},
		"a directory for a file":        {[][]string{{"a"}, {"a/", "a/b"}}, "a/, a/b"},
		"a directory for a link":        {[][]string{{"d/", "d/x", "a -> d"}, {"a/", "a/b"}}, "a/, a/b, d/, d/x"},
		"a link for a directory":        {[][]string{{"a/", "a/b"}, {"a -> c"}}, "a -> c"},
		"a directory again":             {[][]string{{"a/", "a/b"}, {"a/", "a/c"}}, "a/, a/b, a/c"},
		"through a link":                {[][]string{{"usr/", "usr/lib/", "lib -> usr/lib"}, {"lib/x"}}, "lib -> usr/lib, usr/, usr/lib/, usr/lib/x"},
		"through an absolute link":      {[][]string{{"run/", "var/", "var/run -> /run"}, {"var/run/x"}}, "run/, run/x, var/, var/run -> /run"},
		"through a link to nothing":     {[][]string{{"var/", "var/run -> ../run/here"}, {"var/run/x"}}, "run/, run/here/, run/here/x, var/, var/run -> ../run/here"},
		"a whiteout through a link":     {[][]string{{"usr/", "usr/x", "l -> usr"}, {"l/.wh.x"}}, "l -> usr, usr/"},
		"a link to an earlier layer":    {[][]string{{"a"}, {"b = a", "c/d = ./b"}}, "a, b, c/, c/d"},
		"what only a file system means": {[][]string{{".wh..wh.aufs", ".wh..wh.plnk/", ".wh..wh.plnk/1.2", "a"}}, "a"},
		"nothing":                       {[][]string{{}, {}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			var all [][]byte
			for _, entries := range c.layers {
				all = append(all, layerOf(t, entries...))
			}
			must(t, layered(t, root, all...))
			if got := outline(t, root); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestLayersKeepADirectorysOwn writes into directories, also with access lists, after their entry came.
func TestLayersKeepADirectorysOwn(t *testing.T) {
	testenv.Root(t)
	t.Cleanup(func() { unix.Umask(unix.Umask(0o077)) })
	unix.Umask(0o077)
	when := time.Unix(1234567890, 123456789)
	dir := tar.Header{Typeflag: tar.TypeDir, Name: "a/", Mode: 0o2750, ModTime: when, PAXRecords: map[string]string{
		"SCHILY.xattr.system.posix_acl_default": defaultList, "SCHILY.xattr.trusted.mark": "x"}}
	again := dir
	again.PAXRecords = map[string]string{"SCHILY.xattr.user.other": "y"}
	root := t.TempDir()
	top := tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o711, ModTime: when}
	must(t, layered(t, root, layerWith(t, top, dir, tar.Header{Typeflag: tar.TypeDir, Name: "c/", Mode: 0o755, PAXRecords: dir.PAXRecords}),
		layerWith(t, again), layerOf(t, "a/b/f", "a/f", "c/f")))
	got := facts(t, root)
	for name, want := range map[string]string{
		".":     "40711 3:4 1234567890.123456789 map[]",
		"a":     `42750 3:4 1234567890.123456789 map["user.other":"y"]`,
		"a/b":   "40755 0:0 ",
		"a/f":   "100640 3:4 1000000000.000000005 map[] ",
		"c/f":   "100640 3:4 1000000000.000000005 map[] ",
		"a/b/f": "100640 3:4 1000000000.000000005 map[] ",
		"c":     `40755 3:4 1000000000.000000005 map["system.posix_acl_default":`,
	} {
		if !strings.HasPrefix(got[name], want) {
			t.Errorf("%s is %s, want %s", name, got[name], want)
		}
	}
}

// defaultList is an access list as the kernel has it.
const defaultList = "\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x04\x00\x05\x00\x00\x00\x04\x00\x04\x00\xff\xff\xff\xff" +
	"\x10\x00\x04\x00\xff\xff\xff\xff\x20\x00\x04\x00\xff\xff\xff\xff"

// TestHostileLayers puts layers that try to reach outside on a tree beside something worth reaching.
func TestHostileLayers(t *testing.T) {
	testenv.Root(t)
	for name, c := range map[string]struct {
		layers  [][]string
		refused bool
	}{
		"dot dot":                      {[][]string{{"../escaped"}}, true},
		"dot dot inside":               {[][]string{{"a/", "a/../../escaped"}}, true},
		"dot dot whiteout":             {[][]string{{"../outside/.wh.secret"}}, true},
		"whiteout of dot dot":          {[][]string{{"a/", "a/.wh..."}}, true},
		"whiteout of dot":              {[][]string{{"a/", "a/.wh.."}}, true},
		"whiteout of no name":          {[][]string{{"a/", "a/.wh."}}, true},
		"absolute":                     {[][]string{{"/escaped"}}, false},
		"through a link":               {[][]string{{"a -> ../outside", "a/escaped"}}, false},
		"through an absolute link":     {[][]string{{"a -> OUTSIDE", "a/escaped"}}, false},
		"through links in two layers":  {[][]string{{"a -> b/c", "b -> ../.."}, {"a/outside/escaped"}}, false},
		"over a link":                  {[][]string{{"a -> OUTSIDE/secret"}, {"a"}}, false},
		"directory over a link":        {[][]string{{"a -> OUTSIDE"}, {"a/", "a/escaped"}}, false},
		"whiteout through a link":      {[][]string{{"a -> OUTSIDE"}, {"a/.wh.secret"}}, false},
		"opaque through a link":        {[][]string{{"a -> ../outside"}, {"a/.wh..wh..opq"}}, false},
		"whiteout of a link":           {[][]string{{"a -> OUTSIDE"}, {".wh.a"}}, false},
		"hard link out":                {[][]string{{"a = ../outside/secret"}}, true},
		"hard link absolute":           {[][]string{{"a = OUTSIDE/secret"}}, true},
		"hard link through a link":     {[][]string{{"b -> ../outside", "a = b/secret", "a"}}, true},
		"hard link to a link, written": {[][]string{{"b -> OUTSIDE/secret", "a = b", "a"}}, false},
		"links in a circle":            {[][]string{{"a -> b", "b -> a", "a/x"}}, true},
		"link to itself below":         {[][]string{{"a -> a/b", "a/x"}}, true},
		"links that grow":              {[][]string{{"a -> b/c", "b -> d/a", "d -> /b", "a/x"}}, true},
		"through the process":          {[][]string{{"a -> /proc/self/cwd", "a/escaped"}}, false},
		"root as a file":               {[][]string{{"./"}, {". -> OUTSIDE"}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			tr := tree{t, t.TempDir()}
			tr.file("outside/secret", []byte("secret"))
			tr.check(os.Mkdir(tr.path("root"), 0o755))
			before := facts(t, tr.path("outside"))
			var all [][]byte
			for _, entries := range c.layers {
				for i := range entries {
					entries[i] = strings.ReplaceAll(entries[i], "OUTSIDE", tr.path("outside"))
				}
				all = append(all, layerOf(t, entries...))
			}
			if err := layered(t, tr.path("root"), all...); (err != nil) != c.refused {
				t.Errorf("got %v, refused should be %v", err, c.refused)
			}
			if diff := cmp.Diff(before, facts(t, tr.path("outside"))); diff != "" {
				t.Errorf("outside changed:\n%s", diff)
			}
			if names, err := os.ReadDir(tr.root); err != nil || len(names) != 2 {
				t.Errorf("beside: %v, %v", names, err)
			}
		})
	}
}

// TestLayersKeepEverything compares a tree with the same one packed as a layer by GNU tar.
func TestLayersKeepEverything(t *testing.T) {
	source, root := newTree(t), t.TempDir()
	tr := tree{t, source}
	tr.check(os.Remove(tr.path("srv/socket")))
	file := filepath.Join(t.TempDir(), "layer.tar")
	command(t, "tar", "--format=posix", "--sparse", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--acls", "-cf", file, "-C", source, ".")
	data, err := os.ReadFile(file)
	must(t, err)
	must(t, layered(t, root, data))
	want, got := facts(t, source), facts(t, root)
	// GNU tar keeps access lists in records of its own, which no program for containers reads or writes, and no attribute
	// without a value.
	for _, name := range []string{"etc/passwd", "srv/shared"} {
		delete(want, name)
		delete(got, name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("trees differ (-packed +unpacked):\n%s", diff)
	}
	wantHoles(t, filepath.Join(root, "var/sparse"))
}

func TestDamagedLayers(t *testing.T) {
	testenv.Root(t)
	good := layerOf(t, "a", "b")
	for name, data := range map[string][]byte{
		"cut in a header":  good[:1024+100],
		"cut in a file":    good[:1024+512],
		"no tar":           bytes.Repeat([]byte("x"), 1024),
		"an unknown entry": layerWith(t, tar.Header{Typeflag: 'Z', Name: "a"}),
	} {
		if err := layered(t, t.TempDir(), slices.Clone(data)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
