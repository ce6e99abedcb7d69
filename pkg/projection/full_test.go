package projection_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/testenv"
)

// await waits for a condition.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for limit := time.After(30 * time.Second); !is(); {
		select {
		case <-limit:
			t.Fatalf("not in time: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// TestStateOnAFullDisk has no room for the state: it answers as of an earlier
// revision and says why, also after a restart, and catches up with room.
func TestStateOnAFullDisk(t *testing.T) {
	disk := testenv.SmallDisk(t, "32m")
	c := natstest.Start(t).Connect(t, "test")
	path := filepath.Join(disk.Dir, "state.db")
	seq, err := bus.PublishBatch(ctx(t), c, objects(20, "a"), 0)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, c, path, copyFold(1))
	before := s.contents(t, seq)
	disk.Fill(0)
	more, err := bus.PublishBatch(ctx(t), c, objects(300, "b"), seq)
	if err != nil {
		t.Fatal(err)
	}
	full := func() bool { return strings.Contains(s.Ages()[0].Trouble, "no space left") }
	await(t, "the state says that its disk is full", full)
	for range 2 {
		if err := s.Ready(); err != nil {
			t.Errorf("a state that is whole is not ready: %v", err)
		}
		if a := s.Ages()[0]; a.Revision != seq || a.Live {
			t.Errorf("the age is %+v, the state is that of %d", a, seq)
		}
		if got := s.contents(t, seq); !maps.Equal(got, before) {
			t.Errorf("%d objects, not the %d of revision %d", len(got), len(before), seq)
		}
		s.stop() // and once more after a restart
		s = start(t, c, path, copyFold(1))
		await(t, "the state says again that its disk is full", full)
	}
	if _, err := os.Stat(path + ".bad"); err == nil {
		t.Error("a whole state was put aside")
	}
	disk.Clear()
	fresh := start(t, c, filepath.Join(t.TempDir(), "fresh.db"), copyFold(1))
	if !maps.Equal(s.contents(t, more), fresh.contents(t, more)) {
		t.Error("the state differs from a fresh one")
	}
}

// TestFullDiskIsNoDamage has no room for a new state: that is an error, and
// nothing is put aside for it.
func TestFullDiskIsNoDamage(t *testing.T) {
	disk := testenv.SmallDisk(t, "32m")
	c := natstest.Start(t).Connect(t, "test")
	seq, err := bus.PublishBatch(ctx(t), c, objects(10, "a"), 0)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(disk.Dir, "state.db")
	for _, free := range []int64{0, 8 << 10} {
		disk.Fill(free)
		if _, err := projection.Open(path, c, quiet, copyFold(1)); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%d bytes free: %v", free, err)
		}
		if _, err := os.Stat(path + ".bad"); err == nil {
			t.Errorf("%d bytes free: a file was put aside", free)
		}
		disk.Clear()
	}
	if got := start(t, c, path, copyFold(1)).contents(t, seq); len(got) != 10 {
		t.Errorf("%d objects", len(got))
	}
}
