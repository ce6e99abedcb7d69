package lease

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/luna-hpc/luna/pkg/wire"
	dhcpv1 "github.com/luna-hpc/luna/proto/dhcp/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/dhcp/internal/plan"
)

var begin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func network(first, last string) *plan.Network {
	return plan.Build(plan.Facts{
		Cluster: &inventoryv1.Cluster{FrontendAddress: "10.0.0.254"},
		Networks: []*inventoryv1.Network{{Id: "N", Name: "cluster", Cidr: "10.0.0.0/24",
			DhcpRange: &inventoryv1.AddressRange{Start: first, End: last}}},
	}, slog.New(slog.DiscardHandler)).Network("N")
}

// TestNoAddressIsTwoMachines lets a few strangers do anything in any order.
func TestNoAddressIsTwoMachines(t *testing.T) {
	n := network("10.0.0.1", "10.0.0.4")
	rapid.Check(t, func(t *rapid.T) {
		table, now := NewTable(), begin
		holds := map[netip.Addr]Lease{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			m := plan.MAC{2, 0, 0, 0, 0, rapid.Byte().Draw(t, "mac") % 6}
			a := netip.AddrFrom4([4]byte{10, 0, 0, rapid.Byte().Draw(t, "address") % 6})
			switch rapid.IntRange(0, 5).Draw(t, "do") {
			case 0:
				_, _ = table.Offer(m, n, a, now, time.Minute) // may be full
			case 1, 2:
				l := Lease{MAC: m, Addr: a, Granted: now, Expires: now.Add(10 * time.Minute)}
				if table.Grant(l, n, now) != nil {
					continue
				}
				if h, ok := holds[a]; ok && h.MAC != m && h.Live(now) {
					t.Fatalf("%s was given to %s while %s has it", a, m, h.MAC)
				}
				holds[a] = l
			case 3:
				if l, ok := table.Release(m, a, now); ok {
					holds[a] = l
				}
			case 4:
				if l, ok := table.Decline(m, a, now, time.Hour); ok {
					holds[a] = l
				}
			case 5:
				now = now.Add(time.Duration(rapid.IntRange(0, 700).Draw(t, "seconds")) * time.Second)
			}
		}
		live := map[netip.Addr]bool{}
		for _, l := range table.Live(now) {
			if live[l.Addr] || !n.Range.Contains(l.Addr) {
				t.Fatalf("%s is listed twice or outside of the range", l.Addr)
			}
			live[l.Addr] = true
		}
	})
}

func TestMergeTakesWhatIsNewer(t *testing.T) {
	m := plan.MAC{2, 0, 0, 0, 0, 1}
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	old := Lease{MAC: m, Addr: a, Granted: begin, Expires: begin.Add(time.Hour)}
	renewed := Lease{MAC: m, Addr: b, Granted: begin.Add(time.Minute), Expires: begin.Add(2 * time.Hour)}
	released := renewed
	released.Expires = begin.Add(2 * time.Minute)
	heardAt := begin.Add(2 * time.Minute)
	for _, order := range [][]Lease{{old, renewed, released}, {released, renewed, old}, {renewed, old, released}} {
		table := NewTable()
		for _, l := range order {
			table.Merge([]Lease{l}, heardAt)
		}
		if got := table.Live(begin.Add(90 * time.Second)); len(got) != 1 || got[0].Addr != b {
			t.Errorf("live %v", got)
		}
		if got := table.Live(begin.Add(3 * time.Minute)); len(got) != 0 {
			t.Errorf("a released lease came back: %v", got)
		}
	}
}

func TestOfTwoHoldersTheLaterHasTheAddress(t *testing.T) {
	a := netip.MustParseAddr("10.0.0.1")
	early := Lease{MAC: plan.MAC{2, 0, 0, 0, 0, 1}, Addr: a, Granted: begin, Expires: begin.Add(time.Hour)}
	late := Lease{MAC: plan.MAC{2, 0, 0, 0, 0, 2}, Addr: a, Granted: begin.Add(time.Minute), Expires: begin.Add(time.Hour)}
	for _, order := range [][]Lease{{early, late}, {late, early}} {
		table := NewTable()
		table.Merge(order, begin)
		if got := table.Live(begin); len(got) != 1 || got[0].MAC != late.MAC {
			t.Errorf("live %v", got)
		}
	}
}

func TestUnwrittenLeaseIsForgotten(t *testing.T) {
	n, table := network("10.0.0.1", "10.0.0.1"), NewTable()
	l := Lease{MAC: plan.MAC{2, 0, 0, 0, 0, 1}, Addr: netip.MustParseAddr("10.0.0.1"), Granted: begin, Expires: begin.Add(time.Hour)}
	if err := table.Grant(l, n, begin); err != nil {
		t.Fatal(err)
	}
	table.Forget(l)
	if a, err := table.Offer(plan.MAC{2, 0, 0, 0, 0, 2}, n, netip.Addr{}, begin, time.Minute); err != nil || a != l.Addr {
		t.Errorf("offered %s, %v", a, err)
	}
}

// TestUnwrittenRenewalLeavesTheLease has a disk that is full when a lease is
// renewed: its machine has the address still, so nobody else gets it.
func TestUnwrittenRenewalLeavesTheLease(t *testing.T) {
	n, table := network("10.0.0.1", "10.0.0.1"), NewTable()
	first := Lease{MAC: plan.MAC{2, 0, 0, 0, 0, 1}, Addr: netip.MustParseAddr("10.0.0.1"), NetworkID: "N", Granted: begin, Expires: begin.Add(time.Hour)}
	if err := table.Grant(first, n, begin); err != nil {
		t.Fatal(err)
	}
	for minute := range 3 {
		now := begin.Add(time.Duration(minute+1) * time.Minute)
		renewed := first
		renewed.Granted, renewed.Expires = now, now.Add(time.Hour)
		if err := table.Grant(renewed, n, now); err != nil {
			t.Fatal(err)
		}
		table.Forget(renewed)
		if a, err := table.Offer(plan.MAC{2, 0, 0, 0, 0, 2}, n, netip.Addr{}, now, time.Minute); err == nil {
			t.Fatalf("%s is offered to another", a)
		}
		if got := table.Live(now); len(got) != 1 || got[0] != first {
			t.Fatalf("live %v", got)
		}
	}
}

func TestLeaseIsReadAsItWasWritten(t *testing.T) {
	l := Lease{MAC: plan.MAC{2, 0, 0, 0, 0, 1}, Addr: netip.MustParseAddr("10.0.0.1"), NetworkID: "N", Head: "head1", Hostname: "h",
		Granted: begin, Expires: begin.Add(10 * time.Minute)}
	e, err := l.Entry(begin)
	if err != nil {
		t.Fatal(err)
	}
	if e.Subject != "luna.evt.dhcp.lease.020000000001" || e.TTL != 25*time.Hour+10*time.Minute {
		t.Errorf("entry %+v", e)
	}
	m := &dhcpv1.Lease{}
	if err := wire.Event(e.Data, m); err != nil {
		t.Fatal(err)
	}
	if got, err := Parse(m); err != nil || got != l {
		t.Errorf("read %v, %v", got, err)
	}
}
