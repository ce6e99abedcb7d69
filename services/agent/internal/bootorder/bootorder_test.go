package bootorder_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/luna-hpc/luna/services/agent/internal/bootorder"
)

const vendor = "-8be4df61-93ca-11d2-aa0d-00e098032b8c"

func firmware(t *testing.T, variables map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, value := range variables {
		if err := os.WriteFile(filepath.Join(dir, name+vendor), []byte(value), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestKeep(t *testing.T) {
	for name, c := range map[string]struct {
		current, order, want string
		changed              bool
	}{
		"already first":      {"\x06\x00\x00\x00\x02\x00", "\x07\x00\x00\x00\x02\x00\x01\x00", "\x07\x00\x00\x00\x02\x00\x01\x00", false},
		"behind a loader":    {"\x06\x00\x00\x00\x02\x00", "\x07\x00\x00\x00\x05\x00\x02\x00\x01\x00", "\x07\x00\x00\x00\x02\x00\x05\x00\x01\x00", true},
		"not in it":          {"\x06\x00\x00\x00\x02\x01", "\x07\x00\x00\x00\x05\x00", "\x07\x00\x00\x00\x02\x01\x05\x00", true},
		"firmware says none": {"\x06\x00\x00\x00", "\x07\x00\x00\x00\x05\x00", "\x07\x00\x00\x00\x05\x00", false},
	} {
		dir := firmware(t, map[string]string{"BootCurrent": c.current, "BootOrder": c.order})
		changed, err := bootorder.Keep(dir)
		got, readErr := os.ReadFile(filepath.Join(dir, "BootOrder"+vendor))
		if err != nil || readErr != nil || changed != c.changed || !bytes.Equal(got, []byte(c.want)) {
			t.Errorf("%s: %t, %v, %v, order %q", name, changed, err, readErr, got)
		}
	}
}

func TestKeepWithoutUEFI(t *testing.T) {
	if changed, err := bootorder.Keep(t.TempDir()); changed || err != nil {
		t.Error(changed, err)
	}
}

func TestKeepRefusesWhatIsNoVariable(t *testing.T) {
	for _, bad := range []string{"", "\x07\x00\x00", "\x07\x00\x00\x00\x01"} {
		dir := firmware(t, map[string]string{"BootCurrent": "\x06\x00\x00\x00\x02\x00", "BootOrder": bad})
		if changed, err := bootorder.Keep(dir); changed || err == nil {
			t.Errorf("took %q", bad)
		}
	}
}
