package shelf

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
)

const bucket = "releases" // osimage id → Releases, binary

// Fold keeps the releases of every osimage.
func Fold() projection.Fold {
	return projection.Fold{
		Stream: subject.Images, Version: 2, Buckets: []string{bucket},
		Apply: func(tx *projection.Tx, ev projection.Event) error {
			id := last(ev.Subject)
			if ev.Deleted() {
				return tx.Delete(bucket, id)
			}
			var r imagepackerv1.Releases
			if err := wire.Event(ev.Data, &r); err != nil {
				return nil //nolint:nilerr // what is no release is no reason to stop following
			}
			data, err := proto.Marshal(&r)
			if err != nil {
				return fmt.Errorf("encode releases of %s: %w", id, err)
			}
			return tx.Put(bucket, id, data)
		},
	}
}

// last returns the last token of a subject.
func last(subj string) string {
	for i := len(subj) - 1; i >= 0; i-- {
		if subj[i] == '.' {
			return subj[i+1:]
		}
	}
	return subj
}

// releases returns what is kept of an osimage; nil when it was never packed.
func (s *Shelf) releases(tx *projection.Tx, osimageID string) (*imagepackerv1.Releases, error) {
	data, err := tx.Get(bucket, osimageID)
	if err != nil || data == nil {
		return nil, err
	}
	return s.known.Of(osimageID, data, func(data []byte) (*imagepackerv1.Releases, error) { return decode(osimageID, data) })
}

func decode(id string, data []byte) (*imagepackerv1.Releases, error) {
	var r imagepackerv1.Releases
	if err := proto.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("decode releases of %s: %w", id, projection.ErrDamaged)
	}
	return &r, nil
}

func each(tx *projection.Tx, do func(r *imagepackerv1.Releases)) error {
	var bad error
	err := tx.Each(bucket, "", "", func(id string, data []byte) bool {
		var r *imagepackerv1.Releases
		if r, bad = decode(id, data); bad == nil {
			do(r)
		}
		return bad == nil
	})
	if bad != nil {
		return bad
	}
	return err
}
