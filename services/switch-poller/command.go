package switchpoller

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/projection"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	switchpollerv1 "github.com/luna-hpc/luna/proto/switchpoller/v1"
	"github.com/luna-hpc/luna/services/switch-poller/internal/poll"
	"github.com/luna-hpc/luna/services/switch-poller/internal/seen"
)

// commands are what the service can be asked.
type commands struct {
	state *projection.State
	book  *poll.Book
}

func (c commands) endpoints() []bus.Endpoint {
	return []bus.Endpoint{bus.Handle("mac", "list", projection.Fresh(c.state, c.macs)), bus.Handle("switch", "list", projection.Fresh(c.state, c.switches))}
}

func (c commands) macs(_ context.Context, _ bus.Call, r *switchpollerv1.ListMacsRequest) (rep *switchpollerv1.ListMacsReply, err error) {
	err = c.state.View(func(tx *projection.Tx) error {
		rep, err = seen.List(tx, r, time.Now())
		return err
	})
	return rep, err
}

func (c commands) switches(context.Context, bus.Call, *switchpollerv1.ListSwitchesRequest) (*switchpollerv1.ListSwitchesReply, error) {
	rep := &switchpollerv1.ListSwitchesReply{}
	err := catalog.Read(c.state, func(v catalog.View) error {
		all, err := v.Switches()
		for _, sw := range all {
			rep.Switches = append(rep.Switches, c.polled(sw))
		}
		return err
	})
	slices.SortFunc(rep.Switches, func(a, b *switchpollerv1.Polled) int { return cmp.Compare(a.Switch, b.Switch) })
	return rep, err
}

func (c commands) polled(sw *inventoryv1.Switch) *switchpollerv1.Polled {
	p := &switchpollerv1.Polled{Switch: sw.Name, Ip: sw.Ip}
	s, ok := c.book.Status(sw.Id)
	if !ok {
		p.Error = "its first round has not ended yet"
		return p
	}
	p.Seconds, p.Macs = s.Took.Seconds(), uint32(s.MACs)
	if !s.LastGood.IsZero() {
		p.LastGood = s.LastGood.UTC().Format(time.RFC3339Nano)
	}
	if s.Err != nil {
		p.Error = s.Err.Error()
	}
	return p
}
