// Package seen keeps which MAC was seen on which switch port.
package seen

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	switchpollerv1 "github.com/luna-hpc/luna/proto/switchpoller/v1"
)

const bucket = "seen" // subject → Seen

// Fold returns the fold of what all heads saw on switches.
func Fold() projection.Fold {
	return projection.Fold{Stream: subject.Seen, Version: 1, Buckets: []string{bucket}, Apply: apply}
}

func apply(tx *projection.Tx, ev projection.Event) error {
	if !subject.IsSwitchMAC(ev.Subject) {
		return nil
	}
	m := &switchpollerv1.Seen{}
	if ev.Deleted() || wire.Event(ev.Data, m) != nil {
		return tx.Delete(bucket, ev.Subject)
	}
	data, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode %s: %w", ev.Subject, err)
	}
	return tx.Put(bucket, ev.Subject, data)
}

// List returns what was seen and is not over at a time, at most limit of it.
func List(tx *projection.Tx, now time.Time, limit int) ([]*switchpollerv1.Seen, error) {
	var (
		all []*switchpollerv1.Seen
		bad error
	)
	err := tx.Each(bucket, "", "", func(_ string, data []byte) bool {
		m := &switchpollerv1.Seen{}
		if bad = proto.Unmarshal(data, m); bad != nil {
			return false
		}
		if until, err := time.Parse(time.RFC3339, m.ExpiresAt); err == nil && now.Before(until) {
			all = append(all, m)
		}
		return len(all) < limit
	})
	if bad != nil {
		return nil, fmt.Errorf("decode a seen MAC: %w", projection.ErrDamaged)
	}
	return all, err
}
