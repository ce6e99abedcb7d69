// Package unknown keeps the machines that asked for a boot and are no nodes.
package unknown

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
	"github.com/luna-hpc/luna/services/bootscript/internal/machine"
)

const (
	bucket = "unknown" // MAC as 12 hex digits → Unknown, binary
	// Kept is how long a machine is remembered after it last asked.
	Kept = time.Hour
	// again is after how long a machine that goes on asking is told of anew.
	again = 10 * time.Minute
)

// Fold keeps the unknown machines of the stream of what was seen.
func Fold() projection.Fold {
	return projection.Fold{
		Stream: subject.Seen, Version: 1, Buckets: []string{bucket},
		Apply: func(tx *projection.Tx, ev projection.Event) error {
			mac, ok := strings.CutPrefix(ev.Subject, subject.Unknown(""))
			if !ok {
				return nil
			}
			var u bootscriptv1.Unknown
			if ev.Deleted() || wire.Event(ev.Data, &u) != nil {
				return tx.Delete(bucket, mac)
			}
			data, err := proto.Marshal(&u)
			if err != nil {
				return fmt.Errorf("encode unknown machine: %w", err)
			}
			return tx.Put(bucket, mac, data)
		},
	}
}

// Outbox takes what the bus must be told.
type Outbox interface {
	Put(entries ...outbox.Entry) error
}

// List is the machines that this and other heads have seen.
type List struct {
	out   Outbox
	head  string
	now   func() time.Time
	limit *rate.Limiter

	mu   sync.Mutex
	mine map[machine.MAC]*bootscriptv1.Unknown // newer than the fold
	told map[machine.MAC]time.Time
}

// NewList returns a list of a head. New machines are kept at a bounded rate,
// since anybody can make up MACs.
func NewList(out Outbox, head string, now func() time.Time) *List {
	return &List{out: out, head: head, now: now, limit: rate.NewLimiter(20, 1000),
		mine: map[machine.MAC]*bootscriptv1.Unknown{}, told: map[machine.MAC]time.Time{}}
}

// Saw notes that a machine asked; mac is the one it booted from, and refused
// why it is no node although something points at one.
func (l *List) Saw(mac machine.MAC, m machine.Machine, from netip.Addr, refused string) error {
	l.mu.Lock()
	now := l.now()
	l.forgetOld(now)
	u := l.mine[mac]
	if u == nil && !l.limit.AllowN(now, 1) {
		l.mu.Unlock()
		return nil
	}
	if u == nil {
		u = &bootscriptv1.Unknown{Mac: string(mac), FirstSeen: stamp(now)}
	}
	u = proto.CloneOf(u)
	u.Asset, u.Address, u.Head = m.Asset, from.String(), l.head
	u.LastSeen, u.ExpiresAt, u.Macs = stamp(now), stamp(now.Add(Kept)), nil
	for _, one := range m.MACs {
		u.Macs = append(u.Macs, string(one))
	}
	news := refused != u.Refused
	u.Refused = refused
	l.mine[mac] = u
	tell := news || now.Sub(l.told[mac]) >= again
	if tell {
		l.told[mac] = now
	}
	l.mu.Unlock()
	if !tell {
		return nil
	}
	data, err := wire.Marshal(u)
	if err != nil {
		return fmt.Errorf("encode unknown machine: %w", err)
	}
	return l.out.Put(outbox.Entry{Subject: subject.Unknown(mac.Token()), Data: data, TTL: Kept})
}

func (l *List) forgetOld(now time.Time) {
	for mac, u := range l.mine {
		if expired(u, now) {
			delete(l.mine, mac)
			delete(l.told, mac)
		}
	}
}

// All returns the machines that are remembered and are no node by now, the
// last seen first.
func (l *List) All(tx *projection.Tx, isNode func(mac string) (bool, error)) ([]*bootscriptv1.Unknown, error) {
	by := map[string]*bootscriptv1.Unknown{}
	err := tx.Each(bucket, "", "", func(_ string, data []byte) bool {
		u := &bootscriptv1.Unknown{}
		if proto.Unmarshal(data, u) == nil {
			by[u.Mac] = u
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	for mac, u := range l.mine {
		if old := by[string(mac)]; old == nil || old.LastSeen <= u.LastSeen {
			by[string(mac)] = u
		}
	}
	l.mu.Unlock()
	var all []*bootscriptv1.Unknown
	for mac, u := range by {
		known, err := isNode(mac)
		if err != nil {
			return nil, err
		}
		if !known && !expired(u, l.now()) {
			all = append(all, u)
		}
	}
	slices.SortFunc(all, func(x, y *bootscriptv1.Unknown) int {
		if c := strings.Compare(y.LastSeen, x.LastSeen); c != 0 {
			return c
		}
		return strings.Compare(x.Mac, y.Mac)
	})
	return all, nil
}

func expired(u *bootscriptv1.Unknown, now time.Time) bool {
	t, err := time.Parse(time.RFC3339, u.ExpiresAt)
	return err != nil || now.After(t)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
