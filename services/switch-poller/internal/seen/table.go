package seen

import (
	"time"

	"github.com/luna-hpc/luna/pkg/projection"
	switchpollerv1 "github.com/luna-hpc/luna/proto/switchpoller/v1"
	"github.com/luna-hpc/luna/services/switch-poller/internal/fdb"
)

// Table is what one round of asking found on one switch.
type Table struct {
	SwitchID string
	// At is when the round began.
	At   time.Time
	MACs []fdb.Learned
}

// event returns the event of a MAC, good until a time.
func (t Table) event(l fdb.Learned, until time.Time, head string) *switchpollerv1.Seen {
	return &switchpollerv1.Seen{SwitchId: t.SwitchID, Mac: l.MAC.String(), PortName: l.Port.Name, PortNumber: l.Port.Number,
		Vlans: l.VLANs, SeenAt: stamp(t.At), ExpiresAt: stamp(until), Head: head}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// times returns when something was seen and until when that is good; zero when it does not say.
func times(m *switchpollerv1.Seen) (at, until time.Time) {
	at, _ = time.Parse(time.RFC3339, m.GetSeenAt()) // also reads fractions
	until, _ = time.Parse(time.RFC3339, m.GetExpiresAt())
	return at, until
}

// Ports returns the bridge port of each MAC of a switch, by its 12 hex digits, as the bus has it.
func Ports(state *projection.State, switchID string) (map[string]uint32, error) {
	ports := map[string]uint32{}
	err := state.View(func(tx *projection.Tx) error {
		return each(tx, switchID, "", func(key string, m *switchpollerv1.Seen) bool {
			ports[macOf(key)] = m.PortNumber
			return true
		})
	})
	return ports, err
}
