// Package testenv says what a test needs of its machine: where CI is set, a test that lacks it fails, elsewhere it is skipped.
package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Lacks ends a test that cannot run on this machine.
func Lacks(t testing.TB, what ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what...)
	}
	t.Skip(what...)
}

// Root is needed by a test that mounts, changes owners or makes namespaces.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Lacks(t, "only root can do this")
	}
}

// Program returns the path of a program; make setup installs all that tests need.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Lacks(t, "run make setup: ", err)
	}
	return path
}

// Image returns the root of the image that deploy/room/make-image.sh makes,
// which LUNA_TEST_IMAGE names.
func Image(t testing.TB) string {
	t.Helper()
	root := os.Getenv("LUNA_TEST_IMAGE")
	if root == "" {
		Lacks(t, "LUNA_TEST_IMAGE is not set: make test-unit sets it")
	}
	return root
}

// Physical returns the root of the image for physical machines, which
// LUNA_TEST_PHYSICAL names.
func Physical(t testing.TB) string {
	t.Helper()
	root := os.Getenv("LUNA_TEST_PHYSICAL")
	if root == "" {
		Lacks(t, "LUNA_TEST_PHYSICAL is not set: make test-unit sets it")
	}
	return root
}

// Kernel returns the newest kernel of Image.
func Kernel(t testing.TB) string {
	t.Helper()
	kernels, err := filepath.Glob(filepath.Join(Image(t), "boot", "vmlinuz-*"))
	if err != nil || len(kernels) == 0 {
		t.Fatalf("the image %s has no kernel: %v", Image(t), err)
	}
	return kernels[len(kernels)-1]
}
