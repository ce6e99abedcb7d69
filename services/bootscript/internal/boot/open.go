package boot

import (
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/projection"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
)

// How a step was believed.
const (
	ByAddress  = "address"  // it came from the node's own address
	ByToken    = "token"    // it carried the boot's token
	ByExchange = "exchange" // dhcp had just answered this machine at this address
	ByNothing  = ""         // anybody could have asked
)

const (
	day = 24 * time.Hour
	// maxBoots is how many boots of a node are kept when it makes up their ids.
	maxBoots = 1000
)

// looksBack is how many boots of a node are looked at.
const looksBack = 50

// waits is how long a boot that only the head spoke of is taken up again when
// the machine asks once more.
const waits = 10 * time.Minute

// Current returns the newest boot that the node itself stands behind, else its
// newest; nil steps and "" when it never booted.
func (b *Book) Current(tx *projection.Tx, nodeID string) (id string, steps []*bootscriptv1.Step, err error) {
	ids, err := b.Boots(tx, nodeID)
	if err != nil {
		return "", nil, err
	}
	for i, candidate := range ids[:min(len(ids), looksBack)] {
		some, err := b.Steps(tx, candidate)
		if err != nil {
			return "", nil, err
		}
		if i == 0 {
			id, steps = candidate, some
		}
		if believed(some) {
			return candidate, some, nil
		}
	}
	return id, steps, nil
}

func believed(steps []*bootscriptv1.Step) bool {
	for _, s := range steps {
		if s.By != ByNothing {
			return true
		}
	}
	return false
}

// Admits says whether a node may speak of a boot: one that is known, or one
// that another head made within a day, by whatever clock, and this one has not heard of yet. The
// number is bounded, since any user of a node can make up ids.
func (b *Book) Admits(tx *projection.Tx, nodeID, id string) error {
	steps, err := b.Steps(tx, id)
	if err != nil || len(steps) > 0 {
		return err
	}
	made, err := ulid.ParseStrict(id)
	if err != nil {
		return fault.Invalidf("%q is no boot id", id)
	}
	if age := b.now().Sub(made.Timestamp()); age > day || age < -day {
		return fault.Conflictf("boot %s is not known here and was not made today", id)
	}
	ids, err := b.Boots(tx, nodeID)
	if err == nil && len(ids) >= maxBoots {
		err = fault.Unavailablef("not kept: the node has %d boots already", len(ids))
	}
	return err
}

// Ended tells whether a boot has come to its good end.
func Ended(steps []*bootscriptv1.Step) bool {
	return find(steps, Success, bootscriptv1.State_STATE_OK) != nil
}

// Over tells whether a boot's token is worth nothing any more: the boot has
// ended, or the machine has begun another one through DHCP.
func (b *Book) Over(tx *projection.Tx, nodeID, id string) (bool, error) {
	steps, err := b.Steps(tx, id)
	if err != nil || Ended(steps) {
		return true, err
	}
	ids, err := b.Boots(tx, nodeID)
	if err != nil {
		return true, err
	}
	for _, newer := range ids {
		if newer <= id {
			break
		}
		steps, err := b.Steps(tx, newer)
		if err != nil {
			return true, err
		}
		if slices.ContainsFunc(steps, func(s *bootscriptv1.Step) bool { return s.By == ByExchange }) {
			return true, nil
		}
	}
	return false, nil
}

// ForDiscovery returns the id of the boot that a discovery belongs to: a new
// one, unless the machine only asks again in a boot of which nothing but the
// head's own steps is known. armed says that the machine has just been through
// DHCP, which begins a new boot. A new id is greater than those of the node's
// boots before, whatever the clock says: the newest boot is the one that counts.
func (b *Book) ForDiscovery(tx *projection.Tx, nodeID string, armed bool) (id string, fresh bool, err error) {
	ids, err := b.Boots(tx, nodeID)
	if err != nil || len(ids) == 0 {
		return bus.NewID(), true, err
	}
	if armed {
		return bus.NewIDAfter(ids[0]), true, nil
	}
	steps, err := b.Steps(tx, ids[0])
	if err != nil {
		return "", false, err
	}
	made, err := ulid.ParseStrict(ids[0])
	if err != nil || b.now().Sub(made.Timestamp()).Abs() > waits || !onlyHead(steps) {
		return bus.NewIDAfter(ids[0]), true, nil
	}
	return ids[0], false, nil
}

func onlyHead(steps []*bootscriptv1.Step) bool {
	for _, s := range steps {
		switch s.Report.GetName() {
		case Request, MACAssigned, Discovery:
		default:
			return false
		}
	}
	return true
}

// ForNode returns the id of the boot that a word of the node belongs to when
// it names none: its current boot unless that has ended, else a new one.
func (b *Book) ForNode(tx *projection.Tx, nodeID string) (id string, fresh bool, err error) {
	id, steps, err := b.Current(tx, nodeID)
	if err != nil {
		return "", false, err
	}
	if id == "" || Ended(steps) {
		ids, err := b.Boots(tx, nodeID)
		if err != nil || len(ids) == 0 {
			return bus.NewID(), true, err
		}
		return bus.NewIDAfter(ids[0]), true, nil
	}
	return id, false, nil
}
