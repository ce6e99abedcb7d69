package graft_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/luna-hpc/luna/pkg/graft"
	"github.com/luna-hpc/luna/pkg/testenv"
)

// TestRsyncLeavesOutTheSame asks rsync what each list leaves out of a tree.
func TestRsyncLeavesOutTheSame(t *testing.T) {
	testenv.Program(t, "rsync")
	tree := t.TempDir()
	testenv.Shell(t, `cd "$1"; mkdir -p a/b/c proc/1 var/log/x/y tmp 'od[d' home/u/.cache; touch a/file a/b/file a/b/c/core proc/1/stat var/log/m var/log/x/m var/log/x/y/z tmp/t 'od[d/q' 'st*r' file home/u/.cache/k "$(printf 'bad\377')" x.bak a/y.bak`, tree)
	for _, list := range []string{
		"", "/proc/*", "file", "/file", "b/file", "a/", "file/", "*.bak", "/*.bak", "**/c", "a/**", "/a/*", "/a/b/***", "[ax]*",
		"+ /var/log/**/\n/var/log/**", "+ a/b/file\nfile", "# file\n; x\n\nhome/*/.cache/", "st\\*r", "st*r", "bad*", "bad?", "/var/log/x\n!\n/tmp/", "[!a]*", "- core\n+ *", "od[[]d", "a**file",
	} {
		file := filepath.Join(t.TempDir(), "list")
		if err := os.WriteFile(file, []byte(list), 0o600); err != nil {
			t.Fatal(err)
		}
		out := testenv.Shell(t, `rsync -a -8 --list-only --exclude-from="$2" "$1/" | cut -c47- | sed 's/ -> .*//'`, tree, file)
		want := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		p, err := graft.ParsePatterns(list)
		if err != nil {
			t.Errorf("%q: %v", list, err)
			continue
		}
		var got []string
		err = graft.List(t.Context(), tree, graft.Scope{Filesystems: []string{"/"}, Exclude: p}, func(f *graft.Fact) error {
			got = append(got, f.Name())
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%q leaves\n%q, rsync\n%q", list, got, want)
		}
	}
}

func TestWrongPatternsAreNamed(t *testing.T) {
	for _, list := range []string{"a[b", "/", "- /", "[z-a]"} {
		if _, err := graft.ParsePatterns("file\n" + list); err == nil || !strings.Contains(err.Error(), "exclude pattern") {
			t.Errorf("%q: %v", list, err)
		}
	}
}
