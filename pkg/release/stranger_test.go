package release_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luna-hpc/luna/pkg/release"
)

// TestStrangersRead lets zstd(1) check and tar(1) unpack what Pack stored.
func TestStrangersRead(t *testing.T) {
	source, payload, result := newTree(t), t.TempDir(), t.TempDir()
	m := pack(t, release.Options{Tree: source, PayloadDir: payload})
	for _, s := range m.Segments {
		path := filepath.Join(payload, s.Digest.Hex())
		command(t, "zstd", "-t", path)
		command(t, "tar", "--zstd", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf", path, "-C", result)
	}
	want, got := facts(t, source), facts(t, result)
	for _, name := range []string{"usr/bin/su", "usr/bin/su-again", "usr/bin/ping", "etc/passwd", "etc/absolute", "srv/null", "srv/disk", "srv/pipe", "srv/shared", "name\xff\xfe with\nnewline"} {
		// GNU tar restores no empty attribute.
		if w := strings.Replace(want[name], ` "user.empty":""`, "", 1); w != strings.Replace(got[name], ` "user.empty":""`, "", 1) {
			t.Errorf("%s: tar made\n%s\nwant\n%s", name, got[name], w)
		}
	}
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
