package container

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// description is one image in the manifest.json of `docker save`.
type description struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// saved finds an image in what `docker save` wrote.
func saved(s store, tag string) (*Image, error) {
	var all []description
	if err := decode(s, "manifest.json", &all); errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("it holds no manifest.json: want what `docker save` writes; an OCI image is oci-archive: or, as a directory, oci")
	} else if err != nil {
		return nil, err
	}
	d, err := tagged(all, tag)
	if err != nil {
		return nil, err
	}
	data, err := proved(s, d.Config, ofName(d.Config))
	if err != nil {
		return nil, err
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.Config, err)
	}
	i := &Image{store: s, Platform: platformOf(config)}
	if len(config.RootFS.DiffIDs) != len(d.Layers) {
		return nil, fmt.Errorf("%d layers have %d digests", len(d.Layers), len(config.RootFS.DiffIDs))
	}
	for n, file := range d.Layers {
		b, err := s.open(file)
		if err != nil {
			return nil, err
		}
		i.layers = append(i.layers, layer{name: file, size: b.size, plain: config.RootFS.DiffIDs[n]})
		if err := b.Close(); err != nil {
			return nil, err
		}
	}
	return i, nil
}

// ofName returns the digest that a file is named by; none when it is not.
func ofName(file string) v1.Hash {
	h, err := v1.NewHash("sha256:" + strings.TrimSuffix(path.Base(file), ".json"))
	if err != nil {
		return v1.Hash{}
	}
	return h
}

// tagged chooses an image of several.
func tagged(all []description, tag string) (description, error) {
	var tags []string
	for _, d := range all {
		tags = append(tags, d.RepoTags...)
	}
	if at, ok, err := place(tag, len(all)); ok || err != nil {
		if err != nil {
			return description{}, err
		}
		return all[at], nil
	}
	if tag == "" {
		return description{}, several(tags, len(all))
	}
	want, err := name.NewTag(tag)
	if err != nil {
		return description{}, err
	}
	for _, d := range all {
		if slices.ContainsFunc(d.RepoTags, func(s string) bool { have, err := name.NewTag(s); return err == nil && have.Name() == want.Name() }) {
			return d, nil
		}
	}
	return description{}, fmt.Errorf("there is no %s: %w", tag, several(tags, len(all)))
}

// place returns the place of the only image, or the one that @N says; ok is false when a tag must choose.
func place(tag string, count int) (at int, ok bool, err error) {
	if tag == "" && count == 1 {
		return 0, true, nil
	}
	digits, ok := strings.CutPrefix(tag, "@")
	if !ok {
		return 0, false, nil
	}
	if at, err = strconv.Atoi(digits); err != nil || at < 0 || at >= count {
		return 0, false, fmt.Errorf("%s is not the place of an image: there are %d, the first is @0", tag, count)
	}
	return at, true, nil
}

// several says which images there are to choose from.
func several(tags []string, count int) error {
	if count == 0 {
		return errors.New("it holds no image")
	}
	if len(tags) == 0 {
		return fmt.Errorf("it holds %d images without a tag: add :@0 for the first", count)
	}
	return fmt.Errorf("it holds %d images: add one of :%s", count, strings.Join(tags, ", :"))
}
