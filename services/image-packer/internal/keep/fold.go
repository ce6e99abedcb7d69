// Package keep looks after releases: which there are, their files and what may go.
package keep

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
)

const bucket = "releases" // osimage id → Releases

// Fold returns the fold of all releases.
func Fold() projection.Fold {
	return projection.Fold{Stream: subject.Images, Version: 2, Buckets: []string{bucket}, Apply: apply}
}

func apply(tx *projection.Tx, ev projection.Event) error {
	id, ok := subject.ParseRelease(ev.Subject)
	if !ok {
		return nil
	}
	m := &imagepackerv1.Releases{}
	if ev.Deleted() || wire.Event(ev.Data, m) != nil {
		return tx.Delete(bucket, id)
	}
	data, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode releases of %s: %w", id, err)
	}
	return tx.Put(bucket, id, data)
}

// Shelf is the releases as this head knows them: the fold with the outbox on top.
type Shelf struct {
	state *projection.State
	out   *outbox.Outbox
}

// NewShelf returns the releases of a state and an outbox.
func NewShelf(state *projection.State, out *outbox.Outbox) *Shelf { return &Shelf{state, out} }

// Of returns the releases of an osimage; an empty list when there are none.
func (s *Shelf) Of(osimageID string) (*imagepackerv1.Releases, error) {
	all, err := s.All()
	if err != nil {
		return nil, err
	}
	if r := all[osimageID]; r != nil {
		return r, nil
	}
	return &imagepackerv1.Releases{OsimageId: osimageID}, nil
}

// All returns the releases of all osimages by id.
func (s *Shelf) All() (map[string]*imagepackerv1.Releases, error) {
	all := map[string]*imagepackerv1.Releases{}
	err := s.state.View(func(tx *projection.Tx) error {
		var bad error
		err := tx.Each(bucket, "", "", func(id string, data []byte) bool {
			m := &imagepackerv1.Releases{}
			bad = proto.Unmarshal(data, m)
			all[id] = m
			return bad == nil
		})
		if bad != nil {
			return fmt.Errorf("decode releases: %w", projection.ErrDamaged)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, s.out.Each(func(e outbox.Entry) {
		m := &imagepackerv1.Releases{}
		if id, ok := subject.ParseRelease(e.Subject); ok && wire.Event(e.Data, m) == nil {
			all[id] = m
		}
	})
}

// Published reports whether the bus has an osimage's current release.
func (s *Shelf) Published(osimageID, manifest string) (bool, error) {
	found := false
	err := s.state.View(func(tx *projection.Tx) error {
		data, err := tx.Get(bucket, osimageID)
		if err != nil || data == nil {
			return err
		}
		m := &imagepackerv1.Releases{}
		if err := proto.Unmarshal(data, m); err != nil {
			return fmt.Errorf("decode releases: %w", projection.ErrDamaged)
		}
		found = m.Current == manifest
		return nil
	})
	return found, err
}
