package dhcp

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/testenv"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/dhcp/internal/lease"
	"github.com/luna-hpc/luna/services/dhcp/internal/plan"
)

// TestFullDiskGivesNoLease has no room for the outbox: a stranger that asks
// gets nothing, and one that has an address keeps it.
func TestFullDiskGivesNoLease(t *testing.T) {
	disk := testenv.SmallDisk(t, "8m")
	box, err := outbox.Open(filepath.Join(disk.Dir, "outbox.db"), natstest.StartEmpty(t).Connect(t, "dhcp"), slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	n := plan.Build(plan.Facts{Cluster: &inventoryv1.Cluster{FrontendAddress: "10.0.0.254"}, Networks: []*inventoryv1.Network{
		{Id: "N", Name: "cluster", Cidr: "10.0.0.0/24", DhcpRange: &inventoryv1.AddressRange{Start: "10.0.0.1", End: "10.0.0.200"}}}},
		slog.New(slog.DiscardHandler)).Network("N")
	table, now := lease.NewTable(), time.Now()
	write := keep(table, box)
	grant := func(i byte) (lease.Lease, error) {
		t.Helper()
		l := lease.Lease{MAC: plan.MAC{2, 0, 0, 0, 0, i}, Addr: netip.AddrFrom4([4]byte{10, 0, 0, i}), NetworkID: "N", Granted: now, Expires: now.Add(time.Hour)}
		if err := table.Grant(l, n, now); err != nil {
			t.Fatal(err)
		}
		return l, write([]lease.Lease{l})
	}
	if _, err := grant(1); err != nil {
		t.Fatal(err)
	}
	disk.Fill(0)
	kept, refused := 1, byte(0)
	for i := byte(2); refused == 0 && i < 200; i++ { // what room the file has is used up first
		if _, err := grant(i); err == nil {
			kept++
		} else if refused = i; !strings.Contains(err.Error(), "no space left") {
			t.Error(err)
		}
	}
	if refused == 0 || len(table.Live(now)) != kept || box.Len() != kept {
		t.Fatalf("%d leases, %d in the outbox, %d were kept, %d is refused", len(table.Live(now)), box.Len(), kept, refused)
	}
	now = now.Add(time.Minute)
	if _, err := grant(1); err == nil {
		t.Error("a renewal is kept on a full disk")
	}
	if live := table.Live(now); len(live) != kept || live[0].MAC != (plan.MAC{2, 0, 0, 0, 0, 1}) {
		t.Errorf("the first stranger lost its address: %v", live)
	}
	disk.Clear()
	if _, err := grant(refused); err != nil {
		t.Errorf("there is room again: %v", err)
	}
}
