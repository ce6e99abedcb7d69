package swarm_test

import (
	"fmt"
	"net/netip"
	"testing"
)

// Two racks of four nodes, the head in one of them: what the other rack receives through its trunk is far less
// when its nodes know their network than when they do not.
func TestPiecesComeIntoARackFewTimes(t *testing.T) {
	t.Parallel()
	know, ignore := intoARack(t, true), intoARack(t, false)
	t.Logf("the payload came into the rack %.2f times, %.2f times when its nodes do not know their network", know, ignore)
	if know > 0.75*ignore {
		t.Errorf("the payload came into the rack %.2f times, %.2f times when its nodes do not know their network", know, ignore)
	}
}

// intoARack returns how many times the payload came into a rack of four nodes.
func intoARack(t *testing.T, known bool) float64 {
	r := newSwitchroom(t, "40mbit", pieceLength, 80, 70, 50)
	r.head()
	of := func(network netip.Prefix) func(*role) {
		return func(role *role) {
			if known {
				role.Near = network
			}
		}
	}
	list := r.nodes(4, of(netip.MustParsePrefix("10.77.0.0/24")))
	list = append(list, r.nodes(4, of(r.nextRack()))...)
	begin(list)
	r.complete(fmt.Sprintf("two racks, nodes know their network: %v", known), list)
	_, into := r.counted(r.name, "down1") // what the first rack's end has sent
	return float64(into) / float64(r.payload.size)
}
