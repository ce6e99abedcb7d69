package release_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luna-hpc/luna/pkg/release"
)

func TestCopy(t *testing.T) {
	source, result := newTree(t), t.TempDir()
	grow(t, source)
	var last, total int64
	must(t, release.Copy(t.Context(), source, result, func(done, all int64) { last, total = done, all }, nil))
	wantSame(t, source, result)
	wantHoles(t, filepath.Join(result, "var/sparse"))
	if last != total || total < 40<<20 {
		t.Errorf("told of %d of %d bytes", last, total)
	}
}

func TestCopyEndsWithItsContext(t *testing.T) {
	source := newTree(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := release.Copy(ctx, source, t.TempDir(), func(int64, int64) { cancel() }, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestCopyNamesWhatIsInTheWay(t *testing.T) {
	source := newTree(t)
	if err := release.Copy(t.Context(), source, filepath.Join(source, "absent"), nil, nil); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "absent") {
		t.Errorf("got %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
