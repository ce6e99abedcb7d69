package room

import (
	"fmt"

	"github.com/vishvananda/netlink"
)

// Traffic is what went over a link, in bytes of Ethernet frames, since the link was made.
type Traffic struct {
	Received uint64
	Sent     uint64
}

// Bytes is what the machine received and sent, counted at its ports of the switch.
func (m *Machine) Bytes() (all Traffic, err error) {
	for _, tap := range m.taps {
		t, err := m.room.portTraffic(tap)
		if err != nil {
			return Traffic{}, err
		}
		all.Received, all.Sent = all.Received+t.Received, all.Sent+t.Sent
	}
	return all, nil
}

// HeadBytes is what the head itself received and sent on the bridge.
func (r *Room) HeadBytes() (Traffic, error) {
	s, err := r.statistics(Bridge)
	if err != nil {
		return Traffic{}, fmt.Errorf("count bytes of the head: %w", err)
	}
	return Traffic{Received: s.RxBytes, Sent: s.TxBytes}, nil
}

func (r *Room) portTraffic(port string) (Traffic, error) {
	s, err := r.statistics(port)
	if err != nil {
		return Traffic{}, fmt.Errorf("count bytes at a port: %w", err)
	}
	return Traffic{Received: s.TxBytes, Sent: s.RxBytes}, nil // the port sends what the machine receives
}

func (r *Room) statistics(name string) (*netlink.LinkStatistics, error) {
	link, err := r.links.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("find link %s: %w", name, err)
	}
	return link.Attrs().Statistics, nil
}
