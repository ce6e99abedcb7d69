package bench

import (
	"context"
	"slices"
	"strings"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// rollback makes another kept release the one that nodes boot.
func (b *Bench) rollback(ctx context.Context, _ bus.Call, req *imagepackerv1.RollbackRequest) (*imagepackerv1.ReleasesReply, error) {
	image, err := b.image(req.Name)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	rs, err := b.turn(image, req.Release)
	b.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return &imagepackerv1.ReleasesReply{Releases: rs}, b.published(ctx, image.Id, rs.Current)
}

// turn publishes the releases with another current one; mu is held.
func (b *Bench) turn(image *inventoryv1.Osimage, to string) (*imagepackerv1.Releases, error) {
	if err := b.idle(image.Path); err != nil {
		return nil, err
	}
	rs, err := b.Shelf.Of(image.Id)
	if err != nil {
		return nil, err
	}
	r, err := choose(rs, image.Name, to)
	if err != nil {
		return nil, err
	}
	if r.Manifest == rs.Current {
		return nil, fault.Conflictf("%s is the current release of osimage %s already", r.Manifest, image.Name)
	}
	rs.Current = r.Manifest
	return rs, b.put(rs)
}

// choose returns the release whose digest begins so, or the one before the current one for "".
func choose(rs *imagepackerv1.Releases, name, digits string) (*imagepackerv1.Release, error) {
	if digits == "" {
		if at := currentAt(rs); at > 0 {
			return rs.Releases[at-1], nil
		}
		return nil, fault.NotFoundf("osimage %s has no release before its current one: %s", name, offered(rs))
	}
	digits = strings.TrimPrefix(digits, "sha256:")
	var found []*imagepackerv1.Release
	for _, r := range rs.Releases {
		if strings.HasPrefix(strings.TrimPrefix(r.Manifest, "sha256:"), digits) {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, fault.NotFoundf("osimage %s has no release %s: %s", name, digits, offered(rs))
	}
	return nil, fault.Invalidf("%d releases of osimage %s begin with %s: give more digits", len(found), name, digits)
}

// currentAt returns where in its list the current release is, -1 when there is none.
func currentAt(rs *imagepackerv1.Releases) int {
	return slices.IndexFunc(rs.Releases, func(r *imagepackerv1.Release) bool { return r.Manifest == rs.Current })
}

// offered says which releases there are.
func offered(rs *imagepackerv1.Releases) string {
	if len(rs.Releases) == 0 {
		return "it was not packed yet"
	}
	var names []string
	for _, r := range rs.Releases {
		names = append(names, r.Manifest[:min(len(r.Manifest), len("sha256:")+12)])
	}
	return "there are " + strings.Join(names, ", ") + ", the newest last"
}
