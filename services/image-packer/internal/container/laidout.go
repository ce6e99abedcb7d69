package container

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	// refName is the annotation that has an image's tag (OCI image-spec, annotations.md).
	refName = "org.opencontainers.image.ref.name"
	// attestation is the annotation of what is listed beside images and is none.
	attestation = "vnd.docker.reference.type"
	// amd64 is the platform when none is asked for.
	amd64 = "linux/amd64"
	// nested bounds lists in lists.
	nested = 8
)

// laidOut finds an image in an OCI image layout (image-layout.md).
func laidOut(s store, tag, platform string) (*Image, error) {
	data, err := text(s, "index.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("it holds no index.json: want an OCI image layout; what `docker save` writes is docker-archive")
	}
	if err != nil {
		return nil, err
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	d, err := named(index.Manifests, tag, platform)
	for range nested {
		if err != nil || !d.MediaType.IsIndex() {
			break
		}
		d, err = inList(s, d, platform)
	}
	if err != nil {
		return nil, err
	}
	return described(s, d)
}

// named chooses by tag from what a layout lists.
func named(all []v1.Descriptor, tag, platform string) (v1.Descriptor, error) {
	all = images(all)
	var tags []string
	var found []v1.Descriptor
	for _, d := range all {
		t := d.Annotations[refName]
		if t != "" {
			tags = append(tags, t)
		}
		if tag == "" || t == tag {
			found = append(found, d)
		}
	}
	at, ok, err := place(tag, len(all))
	switch {
	case err != nil:
		return v1.Descriptor{}, err
	case ok:
		return all[at], nil
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1 && platforms(found) != "" && sameName(found):
		return forPlatform(found, platform)
	case tag == "" || len(found) > 1:
		return v1.Descriptor{}, several(tags, len(all))
	}
	return v1.Descriptor{}, fmt.Errorf("there is no %s: %w", tag, several(tags, len(all)))
}

// sameName tells whether images of a layout have one tag, or all none: only then are they one image for several
// platforms.
func sameName(all []v1.Descriptor) bool {
	return !slices.ContainsFunc(all, func(d v1.Descriptor) bool { return d.Annotations[refName] != all[0].Annotations[refName] })
}

// images leaves out what is listed and no image.
func images(all []v1.Descriptor) (kept []v1.Descriptor) {
	for _, d := range all {
		if d.Annotations[attestation] == "" {
			kept = append(kept, d)
		}
	}
	return kept
}

// inList reads a list of platforms and chooses one.
func inList(s store, d v1.Descriptor, platform string) (v1.Descriptor, error) {
	data, err := proved(s, blobName(d.Digest), d.Digest)
	if err != nil {
		return d, err
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(data))
	if err != nil {
		return d, fmt.Errorf("%s: %w", d.Digest, err)
	}
	all := images(index.Manifests)
	if len(all) == 1 {
		return all[0], nil
	}
	return forPlatform(all, platform)
}

func forPlatform(all []v1.Descriptor, platform string) (v1.Descriptor, error) {
	want := platform
	if want == "" {
		want = amd64
	}
	for _, d := range all {
		if d.Platform != nil && matches(d.Platform.String(), want) {
			return d, nil
		}
	}
	return v1.Descriptor{}, fmt.Errorf("there is no image for %s; name one of %s", want, platforms(all))
}

// matches tells whether a platform is the one that is wanted: amd64, linux/amd64 or linux/arm64/v8.
func matches(have, want string) bool {
	if !strings.Contains(want, "/") {
		want = "linux/" + want
	}
	have, _, _ = strings.Cut(have, ":")
	return have == want || strings.HasPrefix(have, want+"/")
}

// platformOf returns what an image says that it was made for.
func platformOf(config *v1.ConfigFile) string {
	p := config.Platform()
	if p == nil {
		return "an unnamed platform"
	}
	return p.String()
}

// platforms names those of a list; "" when one has none.
func platforms(all []v1.Descriptor) string {
	var names []string
	for _, d := range all {
		if d.Platform == nil {
			return ""
		}
		names = append(names, d.Platform.String())
	}
	return strings.Join(names, ", ")
}

func blobName(h v1.Hash) string { return path.Join("blobs", h.Algorithm, h.Hex) }

// described reads an image's manifest and configuration.
func described(s store, d v1.Descriptor) (*Image, error) {
	data, err := proved(s, blobName(d.Digest), d.Digest)
	if err != nil {
		return nil, err
	}
	m, err := v1.ParseManifest(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.Digest, err)
	}
	if !m.Config.MediaType.IsConfig() {
		return nil, fmt.Errorf("%s is no image of containers: its configuration is %s", d.Digest, m.Config.MediaType)
	}
	if data, err = proved(s, blobName(m.Config.Digest), m.Config.Digest); err != nil {
		return nil, err
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Config.Digest, err)
	}
	if len(config.RootFS.DiffIDs) != len(m.Layers) {
		return nil, fmt.Errorf("%d layers have %d digests", len(m.Layers), len(config.RootFS.DiffIDs))
	}
	i := &Image{store: s, Platform: platformOf(config)}
	for n, l := range m.Layers {
		if strings.Contains(string(l.MediaType), "encrypted") {
			return nil, fmt.Errorf("layer %s is encrypted", l.Digest)
		}
		i.layers = append(i.layers, layer{name: blobName(l.Digest), size: l.Size, stored: l.Digest, plain: config.RootFS.DiffIDs[n]})
	}
	return i, nil
}
