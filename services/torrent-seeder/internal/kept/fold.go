// Package kept knows the releases that are kept, and has their torrents on this head's disk.
package kept

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
)

const bucket = "releases" // osimage id → Releases, binary

// Release is one that is kept.
type Release struct {
	// Osimage is the image's name when it was packed.
	Osimage           string
	Manifest, Torrent release.Digest
	// Head is the one that packed it, and has its segments.
	Head string
	// Current says that nodes boot it.
	Current bool
	// Overlay says that it is the compressed image of a release.
	Overlay bool
}

// String names the release in errors.
func (r Release) String() string {
	if r.Overlay {
		return fmt.Sprintf("compressed image %s of %s", r.Manifest, r.Osimage)
	}
	return fmt.Sprintf("release %s of %s", r.Manifest, r.Osimage)
}

// Fold keeps the releases of every osimage.
func Fold() projection.Fold {
	return projection.Fold{Stream: subject.Images, Version: 2, Buckets: []string{bucket}, Apply: apply}
}

func apply(tx *projection.Tx, ev projection.Event) error {
	id := ev.Subject[strings.LastIndexByte(ev.Subject, '.')+1:]
	if ev.Deleted() {
		return tx.Delete(bucket, id)
	}
	var all imagepackerv1.Releases
	if err := wire.Event(ev.Data, &all); err != nil {
		return nil //nolint:nilerr // a message that lists no releases is no reason to stop following
	}
	data, err := proto.Marshal(&all)
	if err != nil {
		return fmt.Errorf("encode releases of %s: %w", id, err)
	}
	return tx.Put(bucket, id, data)
}

// Releases returns all kept releases that have a torrent, current ones first.
func Releases(tx *projection.Tx) ([]Release, error) {
	var current, others []Release
	var bad error
	err := tx.Each(bucket, "", "", func(id string, data []byte) bool {
		var all imagepackerv1.Releases
		if proto.Unmarshal(data, &all) != nil {
			bad = fmt.Errorf("decode releases of %s: %w", id, projection.ErrDamaged)
			return false
		}
		for _, r := range all.Releases {
			if r.Manifest == all.Current {
				current = append(current, read(r, true)...)
			} else {
				others = append(others, read(r, false)...)
			}
		}
		return true
	})
	if bad != nil {
		return nil, bad
	}
	return append(current, others...), err
}

// read returns a release as far as it concerns a seeder, its compressed image as another one; none without a torrent.
func read(r *imagepackerv1.Release, current bool) (all []Release) {
	add := func(manifest, torrent string, overlay bool) {
		m, err := release.ParseDigest(manifest)
		if err != nil {
			return
		}
		if t, err := release.ParseDigest(torrent); err == nil {
			all = append(all, Release{Osimage: r.Osimage, Manifest: m, Torrent: t, Head: r.Head, Current: current, Overlay: overlay})
		}
	}
	add(r.Manifest, r.Torrent, false)
	if o := r.Overlay; o != nil {
		add(o.Manifest, o.Torrent, true)
	}
	return all
}
