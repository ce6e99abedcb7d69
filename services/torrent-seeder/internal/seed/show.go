package seed

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/swarm"
	"github.com/luna-hpc/luna/pkg/swarm/exchange"
	torrentseederv1 "github.com/luna-hpc/luna/proto/torrentseeder/v1"
)

// maxShown is how many peers of all swarms a reply lists: more would not fit a message.
const maxShown = 4000

// Endpoint is the command that tells how the swarms are doing; every head answers it.
func (s *Seed) Endpoint() bus.Endpoint {
	return bus.Handle("swarm", "show", func(context.Context, bus.Call, *torrentseederv1.SwarmShowRequest) (*torrentseederv1.SwarmShowReply, error) {
		return s.show(time.Now()), nil
	}).Everywhere()
}

func (s *Seed) show(now time.Time) *torrentseederv1.SwarmShowReply {
	rep := &torrentseederv1.SwarmShowReply{Head: s.o.Head, Time: now.UTC().Format(time.RFC3339Nano)}
	seeder := s.Seeder()
	if seeder == nil {
		return rep
	}
	figures := map[swarm.InfoHash]swarm.SeededTorrent{}
	for _, t := range seeder.Torrents() {
		figures[t.InfoHash] = t
	}
	room := maxShown
	p := s.now.Load()
	for _, r := range p.releases {
		t, ok := p.torrents[r.Torrent]
		if !ok {
			continue
		}
		f := figures[t.InfoHash]
		w := &torrentseederv1.Swarm{Osimage: r.Osimage, Release: r.Manifest.String(), Current: r.Current, Size: f.Size, Offered: f.Offered, Sent: f.Sent}
		w.Peers = peers(seeder.Neighbours(t.InfoHash))
		if n := len(w.Peers); n > room {
			w.Peers, w.LeftOut = w.Peers[:room], int64(n-room)
		}
		room -= len(w.Peers)
		rep.Swarms = append(rep.Swarms, w)
	}
	return rep
}

// peers lists those that lack most first.
func peers(all []exchange.Neighbour) []*torrentseederv1.Peer {
	slices.SortFunc(all, func(a, b exchange.Neighbour) int {
		return cmp.Or(cmp.Compare(a.Has, b.Has), a.Addr.Compare(b.Addr))
	})
	list := make([]*torrentseederv1.Peer, 0, len(all))
	for _, n := range all {
		list = append(list, &torrentseederv1.Peer{Address: n.Addr.Unmap().String(), Kind: n.Kind.String(), Has: n.Has, FromHead: n.Sent,
			Since: n.Since.UTC().Format(time.RFC3339)})
	}
	return list
}
