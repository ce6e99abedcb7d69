package inventoryv1_test

import (
	"testing"

	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

func TestParseRoot(t *testing.T) {
	for text, want := range map[string]string{"": "", "-": "", "tmpfs": "tmpfs", "disk": "disk", "overlay": "overlay"} {
		if got, err := inventoryv1.ParseRoot(text); got != want || err != nil {
			t.Errorf("ParseRoot(%q) = %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"Disk", "overlay ", "nfs"} {
		if got, err := inventoryv1.ParseRoot(text); err == nil {
			t.Errorf("ParseRoot(%q) = %q, want an error", text, got)
		}
	}
}
