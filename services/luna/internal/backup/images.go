package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
)

// packerFiles are where image-packer keeps the files of its releases, as parts' names.
const packerFiles = "data/image-packer/files/"

// collector gathers parts, each once.
type collector struct {
	data  string
	names map[string]bool
	parts []Part
}

// file adds a file below the data folder that is named by its digest, where it lies.
func (c *collector) file(name string, d release.Digest, images bool) error {
	if c.names[name] {
		return nil
	}
	source := filepath.Join(c.data, filepath.FromSlash(name[len("data/"):]))
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	c.names[name] = true
	c.parts = append(c.parts, Part{Name: name, Size: info.Size(), Digest: d, Mode: uint32(info.Mode().Perm()), Images: images, source: source})
	return nil
}

// packerFiles adds the files of a release that image-packer has here.
func (c *collector) packerFiles(r *imagepackerv1.Release, images bool) error {
	for _, name := range r.Digests() {
		d, err := release.ParseDigest(name)
		if err != nil {
			return fmt.Errorf("release of %s: %w", r.Osimage, err)
		}
		if err := c.file(packerFiles+d.Hex(), d, images); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// pending adds the files of releases that wait in the outbox: the bus does not
// have them, and image-packer stores them before it publishes the release.
func (c *collector) pending(entries []outbox.Entry) error {
	for _, e := range entries {
		if _, ok := subject.ParseRelease(e.Subject); !ok {
			continue
		}
		m := &imagepackerv1.Releases{}
		if err := wire.Event(e.Data, m); err != nil {
			return fmt.Errorf("releases in the outbox: %w", err)
		}
		for _, r := range m.Releases {
			if err := c.packerFiles(r, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// images adds the segments of all current releases, and what image-packer
// needs beside them so as not to sweep them away.
func (b *Backup) images(ctx context.Context, c *collector, all []*imagepackerv1.Releases) error {
	for _, rs := range all {
		for _, r := range rs.Releases {
			if err := c.packerFiles(r, true); err != nil {
				return err
			}
			if r.Manifest != rs.Current {
				continue
			}
			if err := b.segments(ctx, c, r); err != nil {
				return fmt.Errorf("image %s: %w", r.Osimage, err)
			}
		}
	}
	return nil
}

func (b *Backup) segments(ctx context.Context, c *collector, r *imagepackerv1.Release) error {
	segments, err := b.segmentsOf(ctx, r)
	if err != nil {
		return err
	}
	for _, s := range segments {
		err := c.file("data/payload/"+s.Digest.Hex(), s.Digest, true)
		if errors.Is(err, fs.ErrNotExist) && r.Head != b.Head {
			b.Note(fmt.Sprintf("payload of image %s is left out: head %s packed it, and it is not whole here", r.Osimage, r.Head))
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// segmentsOf lists the segments of a release and of its compressed image.
func (b *Backup) segmentsOf(ctx context.Context, r *imagepackerv1.Release) ([]release.Segment, error) {
	m, err := b.manifest(ctx, release.Digest(r.Manifest))
	if err != nil {
		return nil, err
	}
	if r.Overlay == nil {
		return m.Segments, nil
	}
	image, err := b.manifest(ctx, release.Digest(r.Overlay.Manifest))
	if err != nil {
		return nil, err
	}
	return append(m.Segments, image.Segments...), nil
}

func (b *Backup) manifest(ctx context.Context, d release.Digest) (*release.Manifest, error) {
	store, err := b.Operator.JS.ObjectStore(ctx, subject.Files)
	if err != nil {
		return nil, err
	}
	data, err := store.GetBytes(ctx, d.Hex())
	if err != nil {
		return nil, fmt.Errorf("fetch manifest %s: %w", d, err)
	}
	if got := release.DigestOf(data); got != d {
		return nil, fmt.Errorf("manifest %s is %s in the bucket", d, got)
	}
	return release.ParseManifest(data)
}
