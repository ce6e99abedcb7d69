package swarm

import (
	"context"
	"crypto/sha1"
	"fmt"
	"slices"
)

// contentKey names a segment as one torrent cuts it into pieces. Releases share segments; each
// is hashed once.
type contentKey struct {
	hex  string
	sums [sha1.Size]byte // of the piece hashes
}

// content is what a check found.
type content struct {
	id    fileID
	right []bool
}

// checkAll brings every torrent up to date with the payload directory, current releases first,
// one segment after the other, so that it takes one core at most from those who are served.
func (s *Seeder) checkAll(ctx context.Context) {
	known := map[contentKey]content{}
	for _, t := range s.inOrder() {
		for seg := range t.store.segments {
			if ctx.Err() != nil {
				return
			}
			if err := s.checkSegment(ctx, t, seg, known); err != nil && ctx.Err() == nil {
				t.log.Error("segment cannot be offered", "segment", t.store.segments[seg].hex, "err", err)
			}
		}
		if t.fetches {
			t.fetch()
		}
		t.store.closeIdle()
	}
	s.checked = known
}

// inOrder returns the torrents, current ones first.
func (s *Seeder) inOrder() []*seeded {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*seeded, 0, len(s.torrents))
	for _, t := range s.torrents {
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b *seeded) int {
		if a.wanted.Current != b.wanted.Current {
			if a.wanted.Current {
				return -1
			}
			return 1
		}
		return compareHashes(a.store.hash, b.store.hash)
	})
	return list
}

// checkSegment looks at one segment's file and hashes it when it is another than before.
func (s *Seeder) checkSegment(ctx context.Context, t *seeded, seg int, known map[contentKey]content) error {
	key := contentKey{hex: t.store.segments[seg].hex, sums: sha1.Sum(t.store.sums(t.store.segments[seg]))}
	id, err := identify(t.store.path(seg))
	if err != nil {
		return err
	}
	if _, ok := known[key]; !ok {
		if c, ok := s.checked[key]; ok && c.id == id {
			known[key] = c
		}
	}
	if t.fetches && id == (fileID{}) && !t.resumed[seg] {
		return t.resume(ctx, seg)
	}
	if id == t.seen[seg] {
		return nil
	}
	t.seen[seg] = id
	if id == (fileID{}) {
		t.store.setSealed(seg, false)
		t.store.discard(seg)
		t.update(seg)
		return nil
	}
	t.store.setSealed(seg, true)
	if c, ok := known[key]; ok && c.id == id {
		return t.apply(seg, c.right)
	}
	right, err := t.hash(ctx, seg)
	if err != nil {
		t.seen[seg] = fileID{}
		return err
	}
	known[key] = content{id: id, right: right}
	return t.apply(seg, right)
}

// resume finds what an earlier life has fetched of a segment.
func (t *seeded) resume(ctx context.Context, seg int) error {
	t.resumed[seg] = true
	if err := t.store.trimPart(seg); err != nil || !t.store.hasPart(seg) {
		return err
	}
	_, err := t.hash(ctx, seg)
	return err
}

// hash returns which pieces of a segment are right; they are offered one by one as they are found.
func (t *seeded) hash(ctx context.Context, seg int) ([]bool, error) {
	right := make([]bool, 0, t.store.segments[seg].count)
	err := t.store.check(seg, func(piece int, ok bool) error {
		right = append(right, ok)
		t.offer(piece, ok)
		return ctx.Err()
	})
	return right, err
}

// apply offers the right pieces and takes the wrong ones back; wrong ones are an error.
func (t *seeded) apply(seg int, right []bool) error {
	wrong := 0
	for i, ok := range right {
		t.offer(t.store.segments[seg].first+i, ok)
		if !ok {
			wrong++
		}
	}
	t.store.segs[seg].damaged.Store(wrong > 0)
	if wrong > 0 {
		return fmt.Errorf("%d of %d pieces are damaged", wrong, len(right))
	}
	return nil
}

func (t *seeded) offer(piece int, ok bool) {
	was := t.store.Has(piece)
	if ok {
		t.store.markDone(piece)
	} else {
		t.store.markMissing(piece)
	}
	if was != ok {
		t.tell(piece)
	}
}

// fetch asks for what the payload directory lacks. Damaged segments are left to whoever wrote them.
func (t *seeded) fetch() {
	for seg, s := range t.store.segments {
		if t.store.whole(seg) && !t.store.isSealed(seg) {
			t.queue(seg)
		}
		t.torrent.Want(s.first, s.count, !t.store.isSealed(seg))
	}
	if t.stalled.Swap(false) {
		t.torrent.Pause(false)
	}
}
