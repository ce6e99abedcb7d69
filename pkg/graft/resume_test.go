package graft

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/pkg/treetest"
)

// TestGrabThatWasKilledIsEnded begins to commit a grab, stops after every tenth act, and has Resume end it.
func TestGrabThatWasKilledIsEnded(t *testing.T) {
	from := t.TempDir()
	treetest.System(t, from)
	for stop := 0; ; stop += 10 {
		dir := filepath.Join(t.TempDir(), "image")
		// What was there is of other kinds, or linked otherwise.
		testenv.Shell(t, `mkdir -p "$1/etc/passwd" "$1/usr/share" "$1/old/dir"; echo x >"$1/etc/passwd/x"; echo f >"$1/usr/bin"
echo a >"$1/usr/share/empty"; ln "$1/usr/share/empty" "$1/old/dir/b"`, dir)
		acts, place := prepared(t, from, dir)
		if stop > len(acts) {
			break
		}
		if _, err := commit(dir, acts[:stop], false); err != nil {
			t.Fatalf("the first %d acts: %v", stop, err)
		}
		if ended, err := Resume(dir); err != nil || !ended {
			t.Fatalf("after %d acts: %v, %v", stop, ended, err)
		}
		if out := testenv.Shell(t, `rsync -aHAXSxni --delete --numeric-ids "$1/" "$2/"`, from, dir); out != "" {
			t.Errorf("after %d of %d acts rsync would still change:\n%s", stop, len(acts), out)
		}
		if _, err := os.Lstat(place); !os.IsNotExist(err) {
			t.Errorf("left behind: %v", err)
		}
	}
}

// prepared makes all that a grab would, and keeps what is to be done.
func prepared(t *testing.T, from, dir string) ([]act, string) {
	t.Helper()
	g := Grab{Dir: dir, Filesystems: []string{"/"}, Phase: func(string, string) {}, Progress: func(_, _ int64) {}}
	here, there := io.Pipe()
	back, forth := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- Serve(context.Background(), from, NewLine(back, there)) }()
	l := NewLine(here, forth)
	want, have, err := g.lists(t.Context(), l, &Result{})
	check(t, err)
	plan, err := NewPlan(want, have, true)
	check(t, err)
	place, err := g.makePlace()
	check(t, err)
	n := newGraft(dir, plan, func(string) (string, error) { return place, nil })
	_, err = g.fetch(t.Context(), l, n)
	check(t, err)
	check(t, <-ended)
	acts, err := n.acts()
	check(t, err)
	check(t, keep(place, acts))
	check(t, n.Close())
	return acts, place
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
