package agent_test

import (
	"fmt"
	"testing"

	"github.com/luna-hpc/luna/pkg/release"
)

// newSmokeHead packs the image and returns the head that has its release.
func newSmokeHead(t *testing.T, image string) *smokeHead {
	t.Helper()
	dir := t.TempDir()
	m, err := release.Pack(t.Context(), release.Options{Tree: image, PayloadDir: dir, KernelVersion: "6.1"})
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	torrent, _, err := release.Torrent(m, dir)
	if err != nil {
		t.Fatal(err)
	}
	md, td := release.DigestOf(manifest), release.DigestOf(torrent)
	return &smokeHead{t: t, away: 1, payload: dir, digest: md, files: map[string][]byte{
		"script":                             fmt.Appendf(nil, installScript, md, td),
		"/boot/" + md.String():               manifest,
		"/torrents/" + td.Hex() + ".torrent": torrent,
	}}
}
