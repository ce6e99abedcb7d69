package seen

import (
	"testing"
	"time"

	switchpollerv1 "github.com/luna-hpc/luna/proto/switchpoller/v1"
)

const keep = 5 * time.Minute

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// sighting is a MAC on port ge3, number 7, seen some time after noon and good for keep.
func sighting(after time.Duration, change ...func(*switchpollerv1.Seen)) *switchpollerv1.Seen {
	m := &switchpollerv1.Seen{PortName: "ge3", PortNumber: 7, Vlans: []uint32{10}, SeenAt: stamp(noon.Add(after)), ExpiresAt: stamp(noon.Add(after + keep))}
	for _, c := range change {
		c(m)
	}
	return m
}

func TestWhatTheBusMustHear(t *testing.T) {
	number := func(m *switchpollerv1.Seen) { m.PortNumber = 8 }
	name := func(m *switchpollerv1.Seen) { m.PortName = "ge4" }
	vlan := func(m *switchpollerv1.Seen) { m.Vlans = []uint32{10, 20} }
	head := func(m *switchpollerv1.Seen) { m.Head = "head2" }
	empty := func(m *switchpollerv1.Seen) { m.SeenAt, m.ExpiresAt = "", "yesterday" }
	const s = time.Second
	for name, test := range map[string]struct {
		old, seen *switchpollerv1.Seen
		now       time.Duration
		want      bool
	}{
		"it is new":                         {nil, sighting(0), s, true},
		"it says nothing new":               {sighting(0), sighting(30 * s), 30 * s, false},
		"another head told it":              {sighting(0, head), sighting(30 * s), 30 * s, false},
		"another port number":               {sighting(0), sighting(30*s, number), 30 * s, true},
		"another port name":                 {sighting(0), sighting(30*s, name), 30 * s, true},
		"another VLAN":                      {sighting(0), sighting(30*s, vlan), 30 * s, true},
		"half of its time is left":          {sighting(0), sighting(150 * s), 150 * s, false},
		"less than half is left":            {sighting(0), sighting(151 * s), 151 * s, true},
		"it is over":                        {sighting(0), sighting(6 * time.Minute), 6 * time.Minute, true},
		"it is over by the clock alone":     {sighting(0), sighting(0), 4*time.Minute + 59*s, false},
		"a late round":                      {sighting(30*s, number), sighting(20 * s), 40 * s, false},
		"a late round, told by another":     {sighting(30*s, number, head), sighting(20 * s), 40 * s, false},
		"the same round again":              {sighting(30*s, number), sighting(30 * s), 40 * s, false},
		"a clock that is ahead":             {sighting(time.Hour, number), sighting(30 * s), 31 * s, true},
		"a clock that is ahead, same place": {sighting(time.Hour), sighting(30 * s), 31 * s, false},
		"too late to tell":                  {nil, sighting(0), keep, false},
		"what the bus has has no times":     {sighting(0, empty), sighting(30 * s), 31 * s, true},
	} {
		if got := due(test.old, test.seen, noon.Add(test.now)); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
