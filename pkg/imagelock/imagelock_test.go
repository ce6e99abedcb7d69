package imagelock_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/luna-hpc/luna/pkg/imagelock"
)

func TestLocks(t *testing.T) {
	dir := t.TempDir()
	first, err := imagelock.Shared(dir)
	must(t, err)
	second, err := imagelock.Shared(dir)
	must(t, err)
	refused(t, dir, imagelock.Exclusive)
	must(t, first.Unlock())
	refused(t, dir, imagelock.Exclusive)
	must(t, second.Unlock())

	whole, err := imagelock.Exclusive(dir)
	must(t, err)
	refused(t, dir, imagelock.Exclusive)
	refused(t, dir, imagelock.Shared)
	must(t, whole.Unlock())
	again, err := imagelock.Shared(dir)
	must(t, err)
	must(t, again.Unlock())
}

func TestLockOfNothing(t *testing.T) {
	if _, err := imagelock.Shared(t.TempDir() + "/absent"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func refused(t *testing.T, dir string, lock func(string) (*imagelock.Lock, error)) {
	t.Helper()
	if _, err := lock(dir); !errors.Is(err, imagelock.ErrBusy) || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
