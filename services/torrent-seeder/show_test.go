package torrentseeder_test

import (
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/subject"
	torrentseederv1 "github.com/luna-hpc/luna/proto/torrentseeder/v1"
)

// show asks all heads how the swarms are doing.
func (r *room) show(t *testing.T) []*torrentseederv1.SwarmShowReply {
	t.Helper()
	all, err := bus.Gather(t.Context(), r.conn, subject.Command("torrent-seeder", "swarm", "show"), &torrentseederv1.SwarmShowRequest{}, &torrentseederv1.SwarmShowReply{})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// shows waits until the head tells of a node that has all of a release, which came from the head.
func (r *room) shows(t *testing.T, p packed, address string) {
	t.Helper()
	size := p.manifest.Size()
	var all []*torrentseederv1.SwarmShowReply
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if all = r.show(t); len(all) != 1 || len(all[0].Swarms) != 1 || len(all[0].Swarms[0].Peers) == 0 {
			continue
		}
		w := all[0].Swarms[0]
		peer := w.Peers[0]
		if len(w.Peers) == 1 && w.Size == size && w.Offered == size && w.Current && peer.Address == address && peer.Kind == "node" && peer.Has == size && peer.FromHead == size {
			return
		}
	}
	t.Fatalf("%s with %d bytes is not shown: %v", address, size, all)
}

func TestEveryHeadTellsOfItsSwarms(t *testing.T) {
	r := newRoom(t)
	p := r.pack(t, 1)
	r.start(t)
	second := *r
	second.data = t.TempDir()
	second.start(t)
	r.release(t, p)
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		all := r.show(t)
		if len(all) == 2 && len(all[0].Swarms) == 1 && len(all[1].Swarms) == 1 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the heads tell %v", all)
		}
	}
}
