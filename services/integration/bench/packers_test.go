package bench_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/services/integration/bench"
)

// TestEveryPackerIsMeasured lets all pack a tiny tree; it judges no time.
func TestEveryPackerIsMeasured(t *testing.T) {
	testenv.Root(t)
	for _, name := range []string{"pigz", "zstd", "mksquashfs", "unsquashfs", "mkfs.erofs", "fsck.erofs"} {
		testenv.Program(t, name)
	}
	from, self := t.TempDir(), os.Args[0]
	for i := range 40 {
		text := bytes.Repeat(fmt.Appendf(nil, "line of file %d\n", i), 100)
		if err := os.WriteFile(filepath.Join(from, fmt.Sprint(i)), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out, log bytes.Buffer
	err := bench.Pack(t.Context(), bench.PackOptions{From: from, Size: 300_000, Repeats: 2, Dir: t.TempDir(), Self: self, Out: &out, Log: &log})
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	for _, want := range []string{"luna", "tar, pigz", "tar, zstd -T0 -3", "mksquashfs, gzip", "mkfs.erofs, lz4hc", "full pack at least 2 x", "processors"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}
