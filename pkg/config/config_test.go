package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luna-hpc/luna/pkg/config"
)

type sample struct {
	Listen string `yaml:"listen"`
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsStay(t *testing.T) {
	s := sample{Listen: ":53"}
	if err := config.Load(write(t, "# nothing\n"), &s); err != nil || s.Listen != ":53" {
		t.Fatalf("%v %+v", err, s)
	}
}

func TestMisspeltKeyIsNamed(t *testing.T) {
	err := config.Load(write(t, "lisen: ':53'\n"), &sample{})
	if err == nil || !strings.Contains(err.Error(), "lisen") {
		t.Fatalf("got %v", err)
	}
}
