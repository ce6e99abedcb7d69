package release_test

import (
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/release"
)

// A directory is the same whatever comes and goes below it unseen: the links of a mounted proc(5) count processes.
func TestStateOfProcDoesNotCountProcesses(t *testing.T) {
	before, err := release.Stat(unix.AT_FDCWD, "/proc")
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		child := exec.CommandContext(t.Context(), "sleep", "60")
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	}
	if now, err := release.Stat(unix.AT_FDCWD, "/proc"); err != nil || now != before {
		t.Errorf("%+v became %+v: %v", before, now, err)
	}
}
