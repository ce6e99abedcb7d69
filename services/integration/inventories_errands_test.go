package integration_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/integration/ledger"
)

// errand is some commands of one client, one after the other; it ends with the
// first that is not done.
type errand func(c *client)

// Names that several want at once; which errand gets one is chance.
const (
	// The scripts of these groups all edit, one after the other so often: the stream keeps 64 messages of a group,
	// and the ledger reads it whole.
	scripts, edits = 12, 40
	storage        = "storage"
)

// plan makes the errands: of ten, six are about nodes, three about groups, one edits a script.
func (w *workload) plan(count int) {
	w.errands, w.total, w.done = make(chan errand, count), count, map[string]int{}
	rnd := rand.New(rand.NewPCG(w.seed, 0))
	for i := range count {
		switch kind := rnd.IntN(10); {
		case kind < 6:
			w.errands <- nodes(i, rnd)
		case kind < 9:
			w.errands <- groups(i, rnd)
		default:
			w.errands <- edit
		}
	}
	close(w.errands)
}

// nodes adds a node and does something with it. Most have made-up names; of
// some, several want the same name, MAC or address, and one may have it.
func nodes(i int, rnd *rand.Rand) errand {
	add, wanted, fate := &inventoryv1.NodeAddRequest{Group: "compute"}, i/40*3+rnd.IntN(3), rnd.IntN(5)
	switch rnd.IntN(12) {
	case 0:
		add.Name = fmt.Sprintf("login%d", wanted)
	case 1:
		add.Mac = fmt.Sprintf("52:54:00:00:%02x:%02x", wanted/256, wanted%256)
	case 2:
		add.Ip = fmt.Sprintf("10.30.%d.%d", 200+wanted/250, 1+wanted%250)
	case 3:
		add.Count = 2 + uint32(rnd.IntN(3))
	}
	return func(c *client) {
		a, ok := c.do(command{noun: "node", verb: "add", req: add})
		if !ok {
			return
		}
		name := a.Objects[0].Name
		switch fate {
		case 0:
			c.deleteNodes(name)
		case 1: // two names for many, and one for each
			to := []string{fmt.Sprintf("login%d", wanted), fmt.Sprintf("renamed%d", i)}[c.rnd.IntN(2)]
			if _, ok := c.do(command{noun: "node", verb: "rename", req: &inventoryv1.RenameRequest{Name: name, Newname: to}}); ok {
				name = to
			}
			if c.rnd.IntN(2) == 0 {
				c.deleteNodes(name)
			}
		case 2: // to a group that others change meanwhile
			c.do(command{noun: "node", verb: "change", req: &inventoryv1.NodeChangeRequest{Name: name, Group: proto.String(fmt.Sprintf("team%d", wanted))}, missing: true})
		case 3:
			c.do(command{noun: "node", verb: "change", req: &inventoryv1.NodeChangeRequest{Name: name, Ip: fmt.Sprintf("10.30.%d.%d", 210+wanted/250, 1+wanted%250)}})
		}
	}
}

// deleteNodes deletes nodes in one change.
func (w *client) deleteNodes(names ...string) {
	c := command{noun: "node", verb: "delete", req: &inventoryv1.NodeDeleteRequest{Name: strings.Join(names, ",")}}
	for _, name := range names {
		c.gone = append(c.gone, ledger.Object{Noun: "node", Name: name})
	}
	w.do(c)
}

// groups adds a group with nodes, moves all of them to another network and
// back, renames it, and tries to delete it, when others may have put nodes into it.
func groups(i int, rnd *rand.Rand) errand {
	name, count := fmt.Sprintf("team%d", i/40*3+rnd.IntN(8)), 1+uint32(rnd.IntN(3))
	return func(c *client) {
		if _, ok := c.do(command{noun: "group", verb: "add", req: &inventoryv1.GroupAddRequest{Name: name, Osimage: "compute", Network: "cluster"}}); !ok {
			return
		}
		a, ok := c.do(command{noun: "node", verb: "add", req: &inventoryv1.NodeAddRequest{Group: name, Count: count}})
		var members []string
		for _, o := range a.Objects {
			members = append(members, o.Name)
		}
		if ok {
			c.moveGroup(name)
		}
		if to := fmt.Sprintf("crew%d", i); c.rnd.IntN(2) == 0 {
			if _, ok := c.do(command{noun: "group", verb: "rename", req: &inventoryv1.RenameRequest{Name: name, Newname: to}}); ok {
				name = to
			}
		}
		switch {
		case len(members) == 0:
		case c.rnd.IntN(2) == 0:
			c.deleteNodes(members...)
		default:
			c.do(command{noun: "node", verb: "change", req: &inventoryv1.NodeChangeRequest{Name: strings.Join(members, ","), Group: proto.String("compute")}})
		}
		c.do(command{noun: "group", verb: "delete", req: &inventoryv1.DeleteRequest{Name: name}, gone: []ledger.Object{{Noun: "group", Name: name}}})
	}
}

// moveGroup gives the nodes of a group another network and takes the first one
// from them, or gives them a second one.
func (w *client) moveGroup(name string) {
	if w.rnd.IntN(2) == 0 {
		w.do(command{noun: "group", verb: "change", req: &inventoryv1.GroupChangeRequest{Name: name, Interface: "eth1", InterfaceAdd: true, Setnet: storage}})
		return
	}
	if _, ok := w.do(command{noun: "group", verb: "change", req: &inventoryv1.GroupChangeRequest{Name: name, Interface: "BOOTIF", Delnet: "cluster"}}); ok {
		w.do(command{noun: "group", verb: "change", req: &inventoryv1.GroupChangeRequest{Name: name, Interface: "BOOTIF", Setnet: storage}})
	}
}

// edited is the name of a group whose script is edited.
func edited(script int) string { return fmt.Sprint("edited", script) }

// edit puts a line behind those of a script that others edit meanwhile.
func edit(c *client) {
	c.mu.Lock()
	script := len(c.lines) / edits
	c.mu.Unlock()
	if script >= scripts {
		return
	}
	show := c.showEdited(script)
	line := "echo " + bus.NewID()
	_, ok := c.do(command{noun: "group", verb: "change", req: &inventoryv1.GroupChangeRequest{
		Name: edited(script), Prescript: proto.String(show.Object.GetGroup().GetPrescript() + line + "\n"), IfRevision: show.Object.GetSequence()}})
	if ok {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.lines = append(c.lines, line)
	}
}

func (w *workload) showEdited(script int) (rep *inventoryv1.ShowReply) {
	w.until("the group is shown", func(ctx context.Context) (err error) {
		rep, err = bus.Request(ctx, w.conn, subject.Command("inventory", "group", "show"), &inventoryv1.ShowRequest{Name: edited(script)}, &inventoryv1.ShowReply{})
		if kind := fault.KindOf(err); err != nil && kind != fault.Unavailable {
			w.Errorf("%s: %v", kind, err)
			return nil
		}
		return err
	})
	return rep
}

// judgeScript wants the line of every editor who was told that it was done, and no other: an edit on an old text
// would have taken one away.
func (w *workload) judgeScript() {
	var is []string
	for i := range scripts {
		for line := range strings.Lines(w.showEdited(i).GetObject().GetGroup().GetPrescript()) {
			is = append(is, strings.TrimSuffix(line, "\n"))
		}
	}
	slices.Sort(is)
	if want := slices.Sorted(slices.Values(w.lines)); !slices.Equal(is, want) {
		w.Errorf("the scripts have the lines %q, done were %q", is, want)
	}
	w.Logf("%d edits of scripts that others edited", len(w.lines))
}
