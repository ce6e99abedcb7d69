package address_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/secret"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
	"github.com/luna-hpc/luna/services/inventory/internal/cluster"
	"github.com/luna-hpc/luna/services/inventory/internal/group"
	"github.com/luna-hpc/luna/services/inventory/internal/network"
	"github.com/luna-hpc/luna/services/inventory/internal/node"
	"github.com/luna-hpc/luna/services/inventory/internal/osimage"
)

// office makes changes by a clock of the test's.
type office struct {
	*testing.T
	decider *change.Decider
	now     time.Time
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{T: t, now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	dir, conn := t.TempDir(), natstest.Start(t).Connect(t, "inventory")
	key, err := secret.MakeKey(filepath.Join(dir, "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	state, err := projection.Open(filepath.Join(dir, "state.db"), conn, slog.New(slog.DiscardHandler), change.Fold())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- state.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	o.decider = change.NewDecider(conn, state, key, func() time.Time { return o.now })
	must(o, &inventoryv1.ClusterInitRequest{FrontendAddress: "10.0.0.254"}, cluster.Init)
	must(o, &inventoryv1.NetworkAddRequest{Name: "cluster", Network: "10.0.0.0", Prefix: 24}, network.Add)
	must(o, &inventoryv1.OsimageAddRequest{Name: "compute", Path: "/opt/luna/os/compute", Head: "head"}, osimage.Add)
	must(o, &inventoryv1.GroupAddRequest{Name: "compute", Osimage: "compute", Network: "cluster"}, group.Add)
	return o
}

func try[Req proto.Message](o *office, req Req, decide func(*change.Draft, Req) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, err := o.decider.Do(ctx, bus.Call{ID: bus.NewID(), Command: "test"}, req, func(d *change.Draft) error { return decide(d, req) })
	return err
}

func must[Req proto.Message](o *office, req Req, decide func(*change.Draft, Req) error) {
	o.Helper()
	if err := try(o, req, decide); err != nil {
		o.Fatal(err)
	}
}

// TestAddressRestsWhileTheClockJumps has the clock jump when an address is given
// up, and when it is asked for: for the longest lease nobody gets it.
func TestAddressRestsWhileTheClockJumps(t *testing.T) {
	o := newOffice(t)
	begin, longest := o.now, 2*time.Hour
	want := &inventoryv1.NodeAddRequest{Name: "new", Group: "compute", Ip: "10.0.0.1"}
	for _, atEnd := range []bool{false, true} {
		for _, jump := range []time.Duration{time.Hour, -time.Hour, 24 * time.Hour, -24 * time.Hour} {
			must(o, &inventoryv1.NodeAddRequest{Name: "old", Group: "compute", Ip: "10.0.0.1"}, node.Add)
			if o.now = begin; !atEnd {
				o.now = begin.Add(jump)
			}
			must(o, &inventoryv1.NodeDeleteRequest{Name: "old"}, node.Delete)
			if o.now = begin.Add(longest - time.Minute); atEnd {
				o.now = o.now.Add(jump)
			}
			if err := try(o, want, node.Add); fault.KindOf(err) != fault.Conflict {
				t.Errorf("jump of %v, when it is asked for: %v: %v", jump, atEnd, err)
			}
			begin = begin.Add(60 * time.Hour)
			o.now = begin
		}
	}
}
