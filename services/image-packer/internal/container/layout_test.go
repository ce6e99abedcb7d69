package container_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/luna-hpc/luna/pkg/testenv"
)

// layout is an OCI image layout made by hand.
type layout struct {
	*testing.T
	dir string
}

func newLayout(t *testing.T) layout {
	l := layout{t, t.TempDir()}
	must(t, os.MkdirAll(filepath.Join(l.dir, "blobs/sha256"), 0o700))
	return l
}

// blob stores data by its digest.
func (l layout) blob(mediaType types.MediaType, data []byte) v1.Descriptor {
	l.Helper()
	h, n, err := v1.SHA256(bytes.NewReader(data))
	must(l.T, err)
	must(l.T, os.WriteFile(l.file(h), data, 0o600))
	return v1.Descriptor{MediaType: mediaType, Size: n, Digest: h}
}

func (l layout) file(h v1.Hash) string { return filepath.Join(l.dir, "blobs/sha256", h.Hex) }

func (l layout) json(mediaType types.MediaType, v any) v1.Descriptor {
	l.Helper()
	data, err := json.Marshal(v)
	must(l.T, err)
	return l.blob(mediaType, data)
}

// image stores an image for an architecture, of layers that are compressed each in its own way.
func (l layout) image(arch string, layers ...[]byte) v1.Descriptor {
	l.Helper()
	config := v1.ConfigFile{OS: "linux", Architecture: arch, RootFS: v1.RootFS{Type: "layers"}}
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
	for n, data := range layers {
		h, _, err := v1.SHA256(bytes.NewReader(data))
		must(l.T, err)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, h)
		m.Layers = append(m.Layers, l.blob(types.OCILayer, compressed(l.T, n, data)))
	}
	m.Config = l.json(types.OCIConfigJSON, config)
	d := l.json(types.OCIManifestSchema1, m)
	d.Platform = &v1.Platform{OS: "linux", Architecture: arch}
	return d
}

// compressed is plain, gzip or zstd, in turn.
func compressed(t *testing.T, n int, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	switch n % 3 {
	case 0:
		return data
	case 1:
		z := gzip.NewWriter(&out)
		_, err := z.Write(data)
		must(t, errors.Join(err, z.Close()))
	case 2:
		z, err := zstd.NewWriter(&out)
		must(t, err)
		_, err = z.Write(data)
		must(t, errors.Join(err, z.Close()))
	}
	return out.Bytes()
}

// index lists images, each with a tag or "".
func (l layout) index(tags string, images ...v1.Descriptor) {
	l.Helper()
	for i, tag := range strings.Split(tags, ",") {
		if tag != "" {
			images[i].Annotations = map[string]string{"org.opencontainers.image.ref.name": tag}
		}
	}
	data, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, Manifests: images})
	must(l.T, err)
	must(l.T, os.WriteFile(filepath.Join(l.dir, "index.json"), data, 0o600))
}

// holding is a layer with one file, which has its name as content.
func holding(t *testing.T, name string) []byte {
	t.Helper()
	var raw bytes.Buffer
	w := tar.NewWriter(&raw)
	must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(name))}))
	_, err := w.Write([]byte(name))
	must(t, errors.Join(err, w.Close()))
	return raw.Bytes()
}

// want unpacks a source and looks for a file, or for words of the error.
func (l layout) want(source, platform, file string, words ...string) {
	l.Helper()
	root, _, err := unpack(l.T, source, platform)
	if len(words) == 0 && err != nil {
		l.Errorf("%s for %q: %v", source, platform, err)
	}
	for _, w := range words {
		if err == nil || !strings.Contains(err.Error(), w) {
			l.Errorf("%s for %q: %v, want %q", source, platform, err, w)
		}
	}
	if _, err := os.Stat(filepath.Join(root, file)); len(words) == 0 && err != nil {
		l.Errorf("%s for %q: %v", source, platform, err)
	}
}

func TestOneOfSeveral(t *testing.T) {
	testenv.Root(t)
	l := newLayout(t)
	intel, arm := l.image("amd64", holding(t, "intel")), l.image("arm64", holding(t, "arm"))
	proof := l.image("unknown", holding(t, "proof"))
	proof.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest"}
	list := l.json(types.OCIImageIndex, v1.IndexManifest{SchemaVersion: 2, Manifests: []v1.Descriptor{arm, proof, intel}})
	lone := l.json(types.OCIImageIndex, v1.IndexManifest{SchemaVersion: 2, Manifests: []v1.Descriptor{arm, proof}})
	strangers := l.json(types.OCIImageIndex, v1.IndexManifest{SchemaVersion: 2, Manifests: []v1.Descriptor{arm, l.image("riscv64", holding(t, "r"))}})
	source := "oci:" + l.dir

	l.index("", list)
	l.want(source, "", "intel")
	l.want(source, "arm64", "arm")
	l.want(source, "linux/arm64", "arm")
	l.want(source, "s390x", "", "no image for s390x", "linux/arm64, linux/amd64")
	l.index("", lone)
	l.want(source, "", "arm")
	l.want(source, "amd64", "", "is for linux/arm64, not for amd64")
	l.index("", strangers)
	l.want(source, "", "", "no image for linux/amd64; name one of linux/arm64, linux/riscv64")
	l.index("", arm, intel)
	l.want(source, "", "intel")
	l.index("v1,v2", arm, intel)
	l.want(source, "", "", "holds 2 images: add one of :v1, :v2")
	l.want(source, "arm64", "", "holds 2 images: add one of :v1, :v2")
	l.want(source+":v1", "", "arm")
	l.index("v1,v1", arm, intel)
	l.want(source, "", "intel")
	l.want(source+":v1", "arm64", "arm")
	intel.Platform, arm.Platform = nil, nil
	l.index("v1,v2,v3", intel, arm, list)
	l.want(source, "", "", "holds 3 images: add one of :v1, :v2, :v3")
	l.want(source+":v2", "", "arm")
	l.want(source+":v3", "", "intel")
	l.want(source+":@1", "", "arm")
	l.want(source+":@3", "", "", "@3 is not the place")
	l.want(source+":v4", "", "", "there is no v4", ":v1, :v2")
	l.index("")
	l.want(source, "", "", "holds no image")
}

// TestDamage changes each file that an image is made of, and what it is made of.
func TestDamage(t *testing.T) {
	testenv.Root(t)
	l := newLayout(t)
	d := l.image("amd64", holding(t, "a"), holding(t, "b"), holding(t, "c"))
	l.index("", d)
	l.want("oci:"+l.dir, "", "c")
	files, err := filepath.Glob(filepath.Join(l.dir, "blobs/sha256/*"))
	must(t, err)
	if len(files) != 5 {
		t.Fatalf("%d files", len(files))
	}
	for _, file := range files {
		good, err := os.ReadFile(file)
		must(t, err)
		for what, bad := range map[string][]byte{
			"changed": append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1),
			"longer":  append(bytes.Clone(good), 0),
			"cut":     good[:len(good)-1],
			"empty":   nil,
		} {
			must(t, os.WriteFile(file, bad, 0o600))
			if _, _, err := unpack(t, "oci:"+l.dir, ""); err == nil {
				t.Errorf("%s of %d bytes, %s: taken", filepath.Base(file), len(good), what)
			}
		}
		must(t, os.Remove(file))
		l.want("oci:"+l.dir, "", "", filepath.Base(file))
		must(t, os.WriteFile(file, good, 0o600))
	}
	l.want("oci:"+l.dir, "", "c")
}

// TestLyingConfigurations has files that are what they are named, and do not belong together.
func TestLyingConfigurations(t *testing.T) {
	testenv.Root(t)
	l := newLayout(t)
	layer := l.blob(types.OCILayer, holding(t, "a"))
	other, _, err := v1.SHA256(strings.NewReader("another"))
	must(t, err)
	for want, diffs := range map[string][]v1.Hash{"it is damaged": {other}, "1 layers have 0 digests": {}, "1 layers have 2 digests": {layer.Digest, other}} {
		m := v1.Manifest{Layers: []v1.Descriptor{layer}, Config: l.json(types.OCIConfigJSON, v1.ConfigFile{RootFS: v1.RootFS{DiffIDs: diffs}})}
		l.index("", l.json(types.OCIManifestSchema1, m))
		l.want("oci:"+l.dir, "", "", want)
	}
	chart := v1.Manifest{Layers: []v1.Descriptor{layer}, Config: l.json("application/vnd.cncf.helm.config.v1+json", 1)}
	l.index("", l.json(types.OCIManifestSchema1, chart))
	l.want("oci:"+l.dir, "", "", "no image of containers")
	secret := layer
	secret.MediaType += "+encrypted"
	m := v1.Manifest{Layers: []v1.Descriptor{secret}, Config: l.json(types.OCIConfigJSON, v1.ConfigFile{RootFS: v1.RootFS{DiffIDs: []v1.Hash{layer.Digest}}})}
	l.index("", l.json(types.OCIManifestSchema1, m))
	l.want("oci:"+l.dir, "", "", "is encrypted")
}

// TestOtherFiles gives what is none of the three.
func TestOtherFiles(t *testing.T) {
	testenv.Root(t)
	l := newLayout(t)
	l.want("oci:"+l.dir, "", "", "no index.json", "docker-archive")
	file := filepath.Join(l.dir, "a.tar")
	must(t, os.WriteFile(file, holding(t, "a"), 0o600))
	l.want("docker-archive:"+file, "", "", "no manifest.json", "oci-archive")
	l.want("oci-archive:"+file, "", "", "no index.json")
	must(t, os.WriteFile(file, []byte("\xfd7zXZ\x00 and more"), 0o600))
	l.want("docker-archive:"+file, "", "", "compressed as xz: want gzip, zstd or none")
	must(t, os.WriteFile(file, bytes.Repeat([]byte("x"), 2000), 0o600))
	l.want("docker-archive:"+file, "", "", file)
	// A link in the layout leads nowhere else.
	must(t, os.Symlink("/etc/passwd", filepath.Join(l.dir, "index.json")))
	l.want("oci:"+l.dir, "", "", "index.json")
}
