package lease

import (
	"net/netip"
	"testing"
	"time"

	"github.com/luna-hpc/luna/services/dhcp/internal/plan"
)

// TestLeaseOfAClockThatJumped hears of a lease that was granted just now by a
// clock that was wrong. It lasts no longer than a lease lasts, however often it
// is heard of, and stands back behind those of right clocks for good.
func TestLeaseOfAClockThatJumped(t *testing.T) {
	const term = 10 * time.Minute
	first, second := plan.MAC{2, 0, 0, 0, 0, 1}, plan.MAC{2, 0, 0, 0, 0, 2}
	a := netip.MustParseAddr("10.0.0.1")
	for _, jump := range []time.Duration{time.Hour, -time.Hour, 24 * time.Hour, -24 * time.Hour} {
		t.Run(jump.String(), func(t *testing.T) {
			n, table := network("10.0.0.1", "10.0.0.2"), NewTable()
			wrong := Lease{MAC: first, Addr: a, NetworkID: "N", Granted: begin.Add(jump), Expires: begin.Add(jump + term)}
			table.Merge([]Lease{wrong}, begin)
			if got := table.Live(begin.Add(term - time.Second)); jump > 0 && len(got) != 1 {
				t.Errorf("within its term the leases are %v", got)
			}
			// One of a clock that was behind is over at once: its address is given again only when no other is left.
			if got, err := table.Offer(second, n, netip.Addr{}, begin, time.Minute); err != nil || got == a {
				t.Errorf("another is offered %s, %v", got, err)
			}
			table.Drop(second)
			table.Merge([]Lease{wrong}, begin.Add(term/2))
			now := begin.Add(term + time.Second)
			if got := table.Live(now); len(got) != 0 {
				t.Errorf("after its term the leases are %v", got)
			}
			for ; now.Before(begin.Add(26 * time.Hour)); now = now.Add(term / 2) {
				right := Lease{MAC: second, Addr: a, NetworkID: "N", Granted: now, Expires: now.Add(term)}
				table.Merge([]Lease{wrong, right}, now)
				if got := table.Live(now); len(got) != 1 || got[0].MAC != second {
					t.Fatalf("%v later the leases are %v", now.Sub(begin), got)
				}
			}
		})
	}
}

// TestRenewalAfterAJump renews a lease that a clock granted which was ahead.
func TestRenewalAfterAJump(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, 24 * time.Hour} {
		l := Lease{MAC: plan.MAC{2, 0, 0, 0, 0, 1}, Addr: netip.MustParseAddr("10.0.0.1"), NetworkID: "N",
			Granted: begin.Add(jump), Expires: begin.Add(jump + time.Hour)}
		renewed := l
		renewed.Granted, renewed.Expires = begin.Add(30*time.Minute), begin.Add(90*time.Minute)
		for _, order := range [][]Lease{{l, renewed}, {renewed, l}} {
			table := NewTable()
			for _, one := range order {
				table.Merge([]Lease{one}, begin.Add(30*time.Minute))
			}
			if got := table.Live(begin.Add(89 * time.Minute)); len(got) != 1 || !got[0].Granted.Equal(renewed.Granted) {
				t.Errorf("%v ahead: %v", jump, got)
			}
			if got := table.Live(begin.Add(91 * time.Minute)); len(got) != 0 {
				t.Errorf("%v ahead: after the renewed term %v", jump, got)
			}
		}
	}
}
