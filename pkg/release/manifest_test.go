package release_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/luna-hpc/luna/pkg/release"
)

func sample() *release.Manifest {
	return &release.Manifest{
		Format:        release.Format,
		PieceLength:   64 << 10,
		KernelVersion: "6.1.0-41-cloud-amd64",
		Root:          release.Root{Mode: 0o755, Mtime: 17, Xattrs: map[string][]byte{"security.selinux": []byte("root_t\x00")}},
		Unpacked:      4096,
		Segments:      []release.Segment{{Digest: release.DigestOf([]byte("one")), Size: 128 << 10, Unpacked: 4096, Files: 3}},
		Hardlinks:     []release.Hardlink{{Path: "usr/bin/b", Target: "usr/bin/a"}},
	}
}

func TestManifestRoundTrip(t *testing.T) {
	want := sample()
	data, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := release.ParseManifest(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(release.Manifest{})); diff != "" {
		t.Errorf("manifest changed on the way (-want +got):\n%s", diff)
	}
}

func TestManifestRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*release.Manifest){
		"format":                func(m *release.Manifest) { m.Format = 2 },
		"piece length":          func(m *release.Manifest) { m.PieceLength = 65537 },
		"small pieces":          func(m *release.Manifest) { m.PieceLength = 8 << 10 },
		"odd size":              func(m *release.Manifest) { m.Segments[0].Size++ },
		"empty segment":         func(m *release.Manifest) { m.Segments[0].Size = 0 },
		"bad digest":            func(m *release.Manifest) { m.Segments[0].Digest = "sha256:12" },
		"segment twice":         func(m *release.Manifest) { m.Segments = append(m.Segments, m.Segments[0]) },
		"link that escapes":     func(m *release.Manifest) { m.Hardlinks[0].Path = "../etc/passwd" },
		"link to absolute path": func(m *release.Manifest) { m.Hardlinks[0].Target = "/etc/passwd" },
		"root mode":             func(m *release.Manifest) { m.Root.Mode = 0o40755 },
	} {
		t.Run(name, func(t *testing.T) {
			m := sample()
			spoil(m)
			if data, err := m.Encode(); err == nil {
				t.Errorf("encoded %s", data)
			}
		})
	}
}

func TestParseManifestIsStrict(t *testing.T) {
	data, err := sample().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"unknown field": strings.Replace(string(data), `"format"`, `"x":1,"format"`, 1),
		"two values":    string(data) + "{}",
		"upper case":    strings.ToUpper(string(data)),
		"empty":         "",
	} {
		if m, err := release.ParseManifest([]byte(text)); err == nil {
			t.Errorf("%s: parsed as %+v", name, m)
		}
	}
}

func FuzzParseManifest(f *testing.F) {
	data, err := sample().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"format":1,"piece_length":16384,"segments":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := release.ParseManifest(data)
		if err != nil {
			return
		}
		first, err := m.Encode()
		if err != nil {
			t.Fatalf("parsed but not encoded: %v", err)
		}
		again, err := release.ParseManifest(first)
		if err != nil {
			t.Fatalf("encoded but not parsed: %v", err)
		}
		second, err := again.Encode()
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%q became %q, %v", first, second, err)
		}
	})
}

func TestChoosePieceLength(t *testing.T) {
	for _, c := range []struct{ total, previous, want int64 }{
		{0, 0, 16 << 10},
		{10 << 20, 0, 16 << 10},
		{91 << 20, 0, 32 << 10},
		{91 << 20, 64 << 10, 64 << 10},
		{40 << 20, 64 << 10, 16 << 10},
		{400 << 20, 0, 128 << 10},
		{400 << 20, 64 << 10, 128 << 10},
		{400 << 20, 100_000, 128 << 10},
	} {
		if got := release.ChoosePieceLength(c.total, c.previous); got != c.want {
			t.Errorf("ChoosePieceLength(%d, %d) = %d, want %d", c.total, c.previous, got, c.want)
		}
	}
}
