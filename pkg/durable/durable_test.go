package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/luna-hpc/luna/pkg/durable"
)

func TestSync(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(durable.Sync(file), durable.Sync(dir)); err != nil {
		t.Error(err)
	}
	missing := filepath.Join(dir, "missing")
	var pathError *fs.PathError
	if err := durable.Sync(missing); !errors.As(err, &pathError) || pathError.Path != missing {
		t.Errorf("of a missing file: %v", err)
	}
}
