package release

import (
	"bytes"
	"slices"

	"github.com/luna-hpc/luna/pkg/erofs"
)

// imageIndex is the first segment of an image before its addresses are known.
type imageIndex struct {
	index *erofs.Index
	bytes int64
}

func (x *imageIndex) size() int64 {
	if x == nil {
		return 0
	}
	return x.bytes
}

// newImageIndex takes all entries. Parts without content, of links and directories alone, are no segments: they go.
func (p *packer) newImageIndex(root Root) (*imageIndex, error) {
	x, err := erofs.NewIndex(erofs.File{Mode: root.Mode, UID: uint32(root.UID), GID: uint32(root.GID), Mtime: root.Mtime, Xattrs: root.Xattrs})
	if err != nil {
		return nil, err
	}
	segment := 0
	for _, part := range p.parts {
		for i := range part.entries {
			if err := addEntry(x, &part.entries[i], &part.made[i], segment); err != nil {
				return nil, err
			}
		}
		if part.raw() > 0 {
			segment++
		}
	}
	p.parts = slices.DeleteFunc(p.parts, func(part *part) bool {
		if part.raw() > 0 {
			return false
		}
		if part.draft != nil {
			part.draft.discard()
		}
		return true
	})
	return &imageIndex{x, x.Layout()}, nil
}

func addEntry(x *erofs.Index, e *entry, made *imageFile, segment int) error {
	if e.target != "" {
		return x.Link(e.name, e.target)
	}
	// An empty file has a place and no content: the part that it is in may be no segment.
	if made.Place == nil || made.Place.Size == 0 && !made.Place.Inode {
		segment = -1
	}
	return x.Add(e.name, fileOf(e, made.Xattrs), segment, made.Place, made.Link)
}

// keepIndex stores the index as the first part, now that it is known where the others begin.
func (p *packer) keepIndex(x *imageIndex, length int64) error {
	at := x.bytes + padding(Image, x.bytes, length)
	var bases []int64
	for _, part := range p.parts {
		bases = append(bases, at/erofs.BlockSize)
		at += part.stored.Size
	}
	data, err := x.index.Encode(bases, at/erofs.BlockSize)
	if err != nil {
		return err
	}
	first := &part{}
	if first.draft, err = newDraft(p.PayloadDir); err != nil {
		return err
	}
	p.parts = append([]*part{first}, p.parts...)
	if _, err := bytes.NewReader(data).WriteTo(first.draft); err != nil {
		return err
	}
	first.stored, err = first.draft.keep(p.PayloadDir, Image, length)
	return err
}
