package yard_test

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/services/image-packer/internal/yard"
)

func open(t *testing.T, notes string) *yard.Yard {
	t.Helper()
	y, err := yard.Open(notes, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return y
}

// names returns what is in a directory.
func names(t *testing.T, dir string) string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range files {
		all = append(all, f.Name())
	}
	return strings.Join(all, " ")
}

func TestMakeIsWholeOrNothing(t *testing.T) {
	notes, place := t.TempDir(), t.TempDir()
	y := open(t, notes)
	to := filepath.Join(place, "a")
	broken := errors.New("broken")
	err := y.Make(to, func(dir string) error {
		return errors.Join(os.WriteFile(filepath.Join(dir, "x"), nil, 0o600), broken)
	})
	if !errors.Is(err, broken) || names(t, place) != "" || names(t, notes) != "" {
		t.Errorf("%v; leaves %q, %q", err, names(t, place), names(t, notes))
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		t.Fatal(err)
	}
	err = y.Make(to, func(dir string) error { return os.WriteFile(filepath.Join(dir, "x"), nil, 0o600) })
	orphan(t, y, to)
	orphan(t, open(t, notes), to) // also when it was killed
	if err := errors.Join(err, y.Own(to)); err != nil || names(t, place) != "a" || names(t, to) != "x" || names(t, notes) != "" {
		t.Errorf("%v; %q, %q, %q", err, names(t, place), names(t, to), names(t, notes))
	}
	orphan(t, y)
	err = y.Make(to, func(string) error { return nil })
	if err == nil || names(t, place) != "a" || names(t, to) != "x" || names(t, notes) != "" {
		t.Errorf("over a full directory: %v; %q, %q, %q", err, names(t, place), names(t, to), names(t, notes))
	}
}

// TestOrphansThatWentAreForgotten: a directory of that name which somebody else made is none.
func TestOrphansThatWentAreForgotten(t *testing.T) {
	notes, to := t.TempDir(), filepath.Join(t.TempDir(), "a")
	y := open(t, notes)
	if err := y.Make(to, func(string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	orphan(t, y, to)
	move(t, to, to+"-kept") // or the next one gets its inode
	if err := os.MkdirAll(filepath.Join(to, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	orphan(t, y)
	if open(t, notes); names(t, notes) != "" {
		t.Errorf("noted %q", names(t, notes))
	}
}

// orphan checks which directories are nobody's.
func orphan(t *testing.T, y *yard.Yard, want ...string) {
	t.Helper()
	if got, err := y.Orphans(); err != nil || !slices.Equal(got, want) {
		t.Errorf("orphans %q, %v, want %q", got, err, want)
	}
}

// TestKilledAmidAMake ends a process in the middle; the next Open removes what it left, once its place is there.
func TestKilledAmidAMake(t *testing.T) {
	const inside = "LUNA_TEST_YARD"
	if dir := os.Getenv(inside); dir != "" {
		y := open(t, filepath.Join(dir, "notes"))
		t.Fatal(y.Make(filepath.Join(dir, "place", "a"), func(half string) error {
			if err := os.Mkdir(filepath.Join(half, "x"), 0o700); err != nil {
				return err
			}
			p, err := os.FindProcess(os.Getpid())
			if err != nil {
				return err
			}
			if err := p.Kill(); err != nil {
				return err
			}
			select {}
		}))
	}
	dir := t.TempDir()
	place, notes := filepath.Join(dir, "place"), filepath.Join(dir, "notes")
	if err := os.Mkdir(place, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledAmidAMake$")
	cmd.Env = append(os.Environ(), inside+"="+dir)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("%v\n%s", err, out)
	}
	if names(t, place) == "" || names(t, notes) == "" {
		t.Fatal("nothing was half made: the test tries nothing")
	}
	away := filepath.Join(dir, "away")
	move(t, place, away)
	open(t, notes)
	move(t, away, place)
	if names(t, place) == "" || names(t, notes) == "" {
		t.Error("forgotten while its place was away")
	}
	open(t, notes)
	if names(t, place) != "" || names(t, notes) != "" {
		t.Errorf("left %q, %q", names(t, place), names(t, notes))
	}
}

// TestWhatStays: a left-over that cannot be removed keeps nobody from starting.
func TestWhatStays(t *testing.T) {
	testenv.Root(t)
	notes, place := t.TempDir(), t.TempDir()
	stuck, free := filepath.Join(place, ".stuck.luna-half"), filepath.Join(place, ".free.luna-half")
	for i, dir := range []string{stuck, free} {
		if err := os.MkdirAll(filepath.Join(dir, "x"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(notes, string(rune('a'+i))), []byte(dir), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mount("tmpfs", filepath.Join(stuck, "x"), "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	open(t, notes)
	left, noted := names(t, place), names(t, notes)
	if err := unix.Unmount(filepath.Join(stuck, "x"), 0); err != nil {
		t.Fatal(err)
	}
	if left != ".stuck.luna-half" || noted != "a" {
		t.Errorf("left %q, %q", left, noted)
	}
	open(t, notes)
	if names(t, place) != "" || names(t, notes) != "" {
		t.Errorf("left %q, %q", names(t, place), names(t, notes))
	}
}

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}
