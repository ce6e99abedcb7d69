// Package command answers the commands on the bus about boots and what booted.
package command

import (
	"context"
	"slices"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/projection"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/bootscript/internal/boot"
	"github.com/luna-hpc/luna/services/bootscript/internal/hardware"
	"github.com/luna-hpc/luna/services/bootscript/internal/learned"
	"github.com/luna-hpc/luna/services/bootscript/internal/machine"
	"github.com/luna-hpc/luna/services/bootscript/internal/unknown"
	"github.com/luna-hpc/luna/services/bootscript/internal/web"
)

const (
	// perPage is how many nodes a list has when not told, mostPerPage at most.
	perPage, mostPerPage = 500, 1000
	// maxReply keeps a reply below what the bus carries, in bytes.
	maxReply = 900 << 10
)

// Commands is what the commands read.
type Commands struct {
	State    *projection.State
	Book     *boot.Book
	Hardware *hardware.Ledger
	Unknown  *unknown.List
	Planner  web.Planner
	Now      func() time.Time
}

// Endpoints returns the commands.
func (c Commands) Endpoints() []bus.Endpoint {
	return []bus.Endpoint{
		bus.Handle("boot", "show", projection.Fresh(c.State, c.show)),
		bus.Handle("boot", "why", projection.Fresh(c.State, c.why)),
		bus.Handle("boot", "list", projection.Fresh(c.State, c.list)),
		bus.Handle("discover", "list", projection.Fresh(c.State, c.discover)),
		bus.Handle("script", "show", projection.Fresh(c.State, c.script)),
		bus.Handle("hardware", "show", projection.Fresh(c.State, c.hardware)),
		bus.Handle("hardware", "knownhosts", projection.Fresh(c.State, c.knownHosts)),
	}
}

// node finds a node by name.
func node(tx *projection.Tx, name string) (*inventoryv1.Node, error) {
	n, err := catalog.Of(tx).NodeNamed(name)
	if err == nil && n == nil {
		err = fault.NotFoundf("there is no node %q", name)
	}
	return n, err
}

func (c Commands) show(_ context.Context, _ bus.Call, req *bootscriptv1.BootShowRequest) (*bootscriptv1.BootShowReply, error) {
	rep := &bootscriptv1.BootShowReply{Node: req.Node, BootId: req.BootId}
	err := c.State.View(func(tx *projection.Tx) error {
		n, err := node(tx, req.Node)
		if err != nil {
			return err
		}
		if rep.Boots, err = c.Book.Boots(tx, n.Id); err != nil {
			return err
		}
		if rep.BootId == "" {
			rep.BootId, rep.Steps, err = c.Book.Current(tx, n.Id)
			return err
		}
		if !slices.Contains(rep.Boots, rep.BootId) {
			return fault.NotFoundf("node %s has no boot %q", req.Node, rep.BootId)
		}
		rep.Steps, err = c.Book.Steps(tx, rep.BootId)
		return err
	})
	if err != nil {
		return nil, err
	}
	rep.Steps = fit(rep.Steps)
	return rep, nil
}

// fit leaves out the output of old steps until a reply can be carried: the
// newest say most.
func fit(steps []*bootscriptv1.Step) []*bootscriptv1.Step {
	left := maxReply
	fitted := slices.Clone(steps)
	for i := len(fitted) - 1; i >= 0; i-- {
		s := fitted[i]
		size := 600 + 2*(len(s.Report.GetOutput())+len(s.Report.GetError())+len(s.Report.GetTried()))
		for k, v := range s.Report.GetValues() {
			size += 2 * (len(k) + len(v))
		}
		if left -= size; left < 0 {
			return fitted[i+1:]
		}
	}
	return fitted
}

func (c Commands) why(_ context.Context, _ bus.Call, req *bootscriptv1.BootWhyRequest) (*bootscriptv1.BootWhyReply, error) {
	rep := &bootscriptv1.BootWhyReply{Node: req.Node}
	err := c.State.View(func(tx *projection.Tx) error {
		n, err := node(tx, req.Node)
		if err != nil {
			return err
		}
		id, steps, err := c.Book.Current(tx, n.Id)
		v := boot.Why(n.Name, steps, c.Now())
		rep.BootId, rep.Ok, rep.Summary, rep.LastGood, rep.FirstBad = id, v.OK, v.Summary, v.LastGood, v.FirstBad
		return err
	})
	return rep, err
}

func (c Commands) list(_ context.Context, _ bus.Call, req *bootscriptv1.BootListRequest) (*bootscriptv1.BootListReply, error) {
	limit := pageSize(req.Limit)
	rep := &bootscriptv1.BootListReply{}
	err := c.State.View(func(tx *projection.Tx) error {
		var names, ids []string
		err := catalog.Of(tx).EachName(catalog.Node, req.After, func(name, id string) bool {
			names, ids = append(names, name), append(ids, id)
			return len(ids) <= limit
		})
		if err != nil {
			return err
		}
		if len(ids) > limit {
			names, ids = names[:limit], ids[:limit]
			rep.Next = names[limit-1]
		}
		for i, name := range names {
			s, err := c.summary(tx, name, ids[i])
			if err != nil {
				return err
			}
			rep.Boots = append(rep.Boots, s)
		}
		return nil
	})
	return rep, err
}

func pageSize(asked uint32) int {
	if asked == 0 {
		return perPage
	}
	return int(min(asked, mostPerPage))
}

// summary is one line of a list; it leaves out the long texts.
func (c Commands) summary(tx *projection.Tx, name, nodeID string) (*bootscriptv1.BootSummary, error) {
	id, steps, err := c.Book.Current(tx, nodeID)
	if err != nil {
		return nil, err
	}
	v := boot.Why(name, steps, c.Now())
	s := &bootscriptv1.BootSummary{Node: name, BootId: id, Ok: v.OK, Summary: v.Summary}
	if len(v.Summary) > 200 {
		s.Summary = string([]rune(v.Summary)[:min(200, len([]rune(v.Summary)))])
	}
	if len(steps) > 0 {
		last := steps[len(steps)-1]
		s.Last = &bootscriptv1.Step{BootId: id, Time: last.Time, Head: last.Head, Osimage: last.Osimage, Release: last.Release,
			Report: &bootscriptv1.Report{Name: last.Report.GetName(), State: last.Report.GetState()}}
	}
	return s, nil
}

func (c Commands) discover(_ context.Context, _ bus.Call, req *bootscriptv1.DiscoverListRequest) (*bootscriptv1.DiscoverListReply, error) {
	rep := &bootscriptv1.DiscoverListReply{}
	err := c.State.View(func(tx *projection.Tx) (err error) {
		v := catalog.Of(tx)
		rep.Machines, err = c.Unknown.All(tx, func(mac string) (bool, error) {
			n, err := v.NodeByMAC(mac)
			return n != nil, err
		})
		if err != nil {
			return err
		}
		rep.Machines = rep.Machines[:min(len(rep.Machines), pageSize(req.Limit))]
		for _, u := range rep.Machines {
			if u.Places, err = c.places(tx, u); err != nil {
				return err
			}
		}
		return nil
	})
	return rep, err
}

// places says where switches have seen a machine.
func (c Commands) places(tx *projection.Tx, u *bootscriptv1.Unknown) ([]string, error) {
	var all []string
	for _, mac := range u.Macs {
		seen, err := learned.Places(tx, machine.MAC(mac), c.Now())
		if err != nil {
			return nil, err
		}
		for _, p := range seen {
			s, err := catalog.Of(tx).Switch(p.SwitchId)
			if err != nil {
				return nil, err
			}
			all = append(all, web.Place(s, p))
		}
	}
	return all, nil
}
