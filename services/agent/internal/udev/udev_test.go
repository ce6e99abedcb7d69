package udev

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func root(t *testing.T, daemon string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, daemon)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestFind(t *testing.T) {
	if u := Find(t.TempDir()); u != nil {
		t.Errorf("found %s", u.daemon)
	}
	for _, path := range daemons {
		if dir := root(t, path); Find(dir) == nil || Find(dir).daemon != filepath.Join(dir, path) {
			t.Errorf("did not find %s", path)
		}
	}
}

func TestCommands(t *testing.T) {
	u := Find(root(t, daemons[1]))
	var said []string
	u.run = func(_ context.Context, name string, args ...string) error {
		said = append(said, filepath.Base(name)+" "+strings.Join(args, " "))
		return nil
	}
	if err := errors.Join(u.Start(t.Context()), u.Stop(t.Context())); err != nil {
		t.Fatal(err)
	}
	want := `systemd-udevd --daemon --resolve-names=never
udevadm trigger --type=subsystems --action=add
udevadm trigger --type=devices --action=add
udevadm settle --timeout=90
udevadm control --exit
udevadm info --cleanup-db`
	if got := strings.Join(said, "\n"); got != want {
		t.Errorf("ran\n%s\nwant\n%s", got, want)
	}
}

func TestFailureNamesTheCommand(t *testing.T) {
	err := run(t.Context(), "sh", "-c", "echo first; echo second >&2; exit 3")
	if err == nil || !strings.HasSuffix(err.Error(), "exit status 3: second") || !strings.HasPrefix(err.Error(), "sh -c") {
		t.Errorf("got %v", err)
	}
}
