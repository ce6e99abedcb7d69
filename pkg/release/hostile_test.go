package release_test

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/testenv"
)

// stored makes a segment by hand, and a manifest that holds only it. Headers of files have their name as content.
func stored(t *testing.T, headers ...tar.Header) (*release.Manifest, []byte) {
	t.Helper()
	var raw bytes.Buffer
	enc, err := zstd.NewWriter(&raw)
	if err != nil {
		t.Fatal(err)
	}
	tw := tar.NewWriter(enc)
	var unpacked int64
	for _, hdr := range headers {
		hdr.Format = tar.FormatPAX
		if hdr.Typeflag == tar.TypeReg {
			hdr.Size = int64(len(hdr.Name))
			unpacked += 4096
		}
		if err := tw.WriteHeader(&hdr); err != nil {
			t.Fatal(err)
		}
		if hdr.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(tw, hdr.Name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(tw.Close(), enc.Close()); err != nil {
		t.Fatal(err)
	}
	data := raw.Bytes()
	pad := release.MinPieceLength - len(data)%release.MinPieceLength
	data = binary.LittleEndian.AppendUint32(data, 0x184D2A50)
	data = binary.LittleEndian.AppendUint32(data, uint32(pad-8))
	data = append(data, make([]byte, pad-8)...)
	seg := release.Segment{Digest: release.DigestOf(data), Size: int64(len(data)), Unpacked: unpacked, Files: len(headers)}
	return &release.Manifest{Format: 1, PieceLength: release.MinPieceLength, Root: release.Root{Mode: 0o755},
		Segments: []release.Segment{seg}}, data
}

func TestHostileEntries(t *testing.T) {
	testenv.Root(t)
	for name, headers := range map[string][]tar.Header{
		"dot dot":            {{Typeflag: tar.TypeReg, Name: "../escaped"}},
		"dot dot inside":     {{Typeflag: tar.TypeReg, Name: "a/../../escaped"}},
		"absolute":           {{Typeflag: tar.TypeReg, Name: "/escaped"}},
		"root":               {{Typeflag: tar.TypeDir, Name: "./"}},
		"empty part":         {{Typeflag: tar.TypeReg, Name: "a//escaped"}},
		"through a link":     {{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "../outside"}, {Typeflag: tar.TypeReg, Name: "a/escaped"}},
		"mkdir through":      {{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "../outside"}, {Typeflag: tar.TypeDir, Name: "a/escaped/"}},
		"dir over a link":    {{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "../outside"}, {Typeflag: tar.TypeDir, Name: "a/"}},
		"hard link out":      {{Typeflag: tar.TypeLink, Name: "a", Linkname: "../outside/secret"}},
		"hard link absolute": {{Typeflag: tar.TypeLink, Name: "a", Linkname: "/etc/passwd"}},
		"hard link through":  {{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "../outside"}, {Typeflag: tar.TypeLink, Name: "b", Linkname: "a/secret"}},
		"file over a dir":    {{Typeflag: tar.TypeDir, Name: "a/"}, {Typeflag: tar.TypeReg, Name: "a"}},
		"unknown type":       {{Typeflag: tar.TypeCont, Name: "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			tr := tree{t, t.TempDir()}
			tr.file("outside/secret", []byte("secret"))
			tr.file("root/keep", nil)
			before := facts(t, tr.path("outside"))
			m, data := stored(t, headers...)
			u := release.NewUnpacker(tr.path("root"), m)
			if err := u.Segment(t.Context(), m.Segments[0], bytes.NewReader(data)); err == nil {
				t.Error("unpacked")
			}
			if err := u.Finish(); err == nil {
				t.Error("finished a tree with a segment that failed")
			}
			if diff := cmp.Diff(before, facts(t, tr.path("outside"))); diff != "" {
				t.Errorf("outside changed:\n%s", diff)
			}
			if _, err := os.Lstat(tr.path("escaped")); err == nil {
				t.Error("a file escaped")
			}
		})
	}
}

func TestHostileManifestLink(t *testing.T) {
	testenv.Root(t)
	tr := tree{t, t.TempDir()}
	tr.file("outside/secret", []byte("secret"))
	tr.file("root/keep", nil)
	m, data := stored(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "../outside"})
	m.Hardlinks = []release.Hardlink{{Path: "b", Target: "a/secret"}}
	u := release.NewUnpacker(tr.path("root"), m)
	if err := u.Segment(t.Context(), m.Segments[0], bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if err := u.Finish(); err == nil {
		t.Error("linked through a symbolic link")
	}
}

func TestWrongBytes(t *testing.T) {
	testenv.Root(t)
	good := tar.Header{Typeflag: tar.TypeReg, Name: "file", Mode: 0o644}
	for name, spoil := range map[string]func(*release.Manifest, []byte) []byte{
		"flipped":     func(_ *release.Manifest, d []byte) []byte { d[len(d)-1] ^= 1; return d },
		"flipped tar": func(_ *release.Manifest, d []byte) []byte { d[40] ^= 1; return d },
		"short":       func(_ *release.Manifest, d []byte) []byte { return d[:len(d)-1] },
		"long":        func(_ *release.Manifest, d []byte) []byte { return append(d, 0) },
		"empty":       func(_ *release.Manifest, d []byte) []byte { return nil },
		"file count":  func(m *release.Manifest, d []byte) []byte { m.Segments[0].Files++; return d },
		"byte count":  func(m *release.Manifest, d []byte) []byte { m.Segments[0].Unpacked++; return d },
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			m, data := stored(t, good)
			data = spoil(m, bytes.Clone(data))
			u := release.NewUnpacker(root, m)
			if err := u.Segment(t.Context(), m.Segments[0], bytes.NewReader(data)); err == nil {
				t.Error("took it")
			}
		})
	}
	root := t.TempDir()
	m, data := stored(t, good)
	u := release.NewUnpacker(root, m)
	if err := u.Segment(t.Context(), m.Segments[0], bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if err := u.Finish(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(root, "file")); err != nil || string(got) != "file" {
		t.Errorf("file holds %q, %v", got, err)
	}
	unknown, _ := stored(t, tar.Header{Typeflag: tar.TypeReg, Name: "other"})
	if err := u.Segment(t.Context(), unknown.Segments[0], strings.NewReader("")); err == nil {
		t.Error("took a segment of another release")
	}
}
