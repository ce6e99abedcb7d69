// Package container reads images that were saved for containers.
package container

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/luna-hpc/luna/pkg/release"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
)

// Image is one image of a source.
type Image struct {
	// Platform is what it was made for, as linux/amd64.
	Platform string

	store  store
	layers []layer
}

// layer is one layer as it is stored.
type layer struct {
	name string
	size int64
	// stored is the digest of the file, none in a docker-archive; plain that of the tar in it.
	stored, plain v1.Hash
}

// Open finds the image of a source. platform chooses from several, amd64 for "". An archive that is compressed as a
// whole takes room in the directory scratch until Close.
func Open(src imagepackerv1.Source, platform, scratch string) (_ *Image, err error) {
	open := func() (store, error) { return openArchive(src.Path, scratch) }
	if src.Transport == "oci" {
		open = func() (store, error) { return openFolder(src.Path) }
	}
	s, err := open()
	if err != nil {
		return nil, err
	}
	var i *Image
	if src.Transport == "docker-archive" {
		i, err = saved(s, src.Tag)
	} else {
		i, err = laidOut(s, src.Tag, platform)
	}
	if err == nil && platform != "" && !matches(i.Platform, platform) {
		err = fmt.Errorf("the image is for %s, not for %s", i.Platform, platform)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", src, err), s.Close())
	}
	return i, nil
}

// Close closes the source.
func (i *Image) Close() error { return i.store.Close() }

// Unpack makes the image's tree below the empty directory to. All digests must be right. An attribute that the file
// system of to does not know is an error. progress is called with the bytes of layers read until now, and of all.
func (i *Image) Unpack(ctx context.Context, to string, progress func(done, total int64)) (err error) {
	tree, err := release.NewLayers(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	m := &meter{progress: progress}
	for _, l := range i.layers {
		m.total += l.size
	}
	for n, l := range i.layers {
		if err := i.add(ctx, tree, l, m); err != nil {
			return fmt.Errorf("layer %d of %d, %s: %w", n+1, len(i.layers), l.name, err)
		}
	}
	if err := tree.Finish(); err != nil {
		return err
	}
	if refused := slices.Sorted(maps.Keys(tree.Refused())); len(refused) > 0 {
		return fmt.Errorf("the file system of %s does not know the attributes %s", to, strings.Join(refused, ", "))
	}
	return nil
}

// add puts one layer on the tree.
func (i *Image) add(ctx context.Context, tree *release.Layers, l layer, m *meter) (err error) {
	file, err := i.store.open(l.name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	stored, err := checked(io.TeeReader(file, m), l.stored)
	if err != nil {
		return err
	}
	opened, _, err := unpacked(stored)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	plain, err := checked(opened, l.plain)
	if err != nil {
		return err
	}
	if err := tree.Add(ctx, plain); err != nil {
		return err
	}
	if err := plain.check(); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, stored); err != nil {
		return err
	}
	return stored.check()
}

// meter tells how much was read.
type meter struct {
	done, total int64
	progress    func(done, total int64)
}

// Write counts.
func (m *meter) Write(p []byte) (int, error) {
	m.done += int64(len(p))
	m.progress(m.done, m.total)
	return len(p), nil
}

// sum is a reader whose bytes must have a digest at its end.
type sum struct {
	io.Reader
	want v1.Hash
	hash hash.Hash
}

// checked returns r as a sum; no digest is any.
func checked(r io.Reader, want v1.Hash) (*sum, error) {
	if want == (v1.Hash{}) {
		return &sum{Reader: r}, nil
	}
	h, err := v1.Hasher(want.Algorithm)
	if err != nil {
		return nil, fmt.Errorf("digest %s: %w", want, err)
	}
	return &sum{io.TeeReader(r, h), want, h}, nil
}

func (s *sum) check() error {
	if s.hash == nil {
		return nil
	}
	if got := fmt.Sprintf("%x", s.hash.Sum(nil)); got != s.want.Hex {
		return fmt.Errorf("the digest is %s:%s, not %s: it is damaged", s.want.Algorithm, got, s.want)
	}
	return nil
}

// proved returns a small file that has a digest.
func proved(s store, name string, want v1.Hash) ([]byte, error) {
	data, err := text(s, name)
	if err != nil {
		return nil, err
	}
	r, err := checked(bytes.NewReader(data), want)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}
