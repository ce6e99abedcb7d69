package preload_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/luna-hpc/luna/services/agent/internal/preload"
)

func TestNames(t *testing.T) {
	got, err := preload.Names(fstest.MapFS{
		"etc/modules-load.d/luna.conf":  {Data: []byte("ipmi_devintf\nipmi_si\n\n# why\n; not\n  ipmi_devintf\n")},
		"etc/modules-load.d/a.conf":     {Data: []byte("first")},
		"etc/modules-load.d/other.list": {Data: []byte("never")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"first", "ipmi_devintf", "ipmi_si"}, got); diff != "" {
		t.Error(diff)
	}
	if got, err := preload.Names(fstest.MapFS{}); len(got) != 0 || err != nil {
		t.Errorf("of nothing: %v, %v", got, err)
	}
}

func TestLoadGoesOnAfterOneThatFails(t *testing.T) {
	var asked []string
	failed, err := preload.Load(t.Context(), []string{"a", "ipmi_si", "b"}, func(_ context.Context, name string) error {
		asked = append(asked, name)
		if name == "ipmi_si" {
			return errors.New("no such device")
		}
		return nil
	})
	if diff := cmp.Diff([]string{"a", "ipmi_si", "b"}, asked); diff != "" {
		t.Error(diff)
	}
	if len(failed) != 1 || failed[0] != "ipmi_si" || err == nil || err.Error() != "no such device" {
		t.Errorf("failed %v, %v", failed, err)
	}
}

func TestModprobe(t *testing.T) {
	bin := t.TempDir()
	script := "#!/bin/sh\necho \"$*\" >> " + bin + "/said\n[ \"$2\" = good ] || { echo no such device >&2; exit 1; }\n"
	if err := os.WriteFile(filepath.Join(bin, "modprobe"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	if err := preload.Modprobe(t.Context(), "good"); err != nil {
		t.Error(err)
	}
	if err := preload.Modprobe(t.Context(), "ipmi_si"); err == nil || !strings.Contains(err.Error(), "modprobe ipmi_si: exit status 1: no such device") {
		t.Errorf("got %v", err)
	}
	if said, err := os.ReadFile(filepath.Join(bin, "said")); string(said) != "-- good\n-- ipmi_si\n" || err != nil {
		t.Errorf("said %q, %v", said, err)
	}
}
