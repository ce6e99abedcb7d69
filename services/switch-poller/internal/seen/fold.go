// Package seen keeps which MAC was seen on which switch port, and tells the bus of it.
package seen

import (
	"fmt"
	"strings"

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

// each calls do for what was seen on a switch, or on all when id is empty, in the order of subjects after a subject, until it
// returns false.
func each(tx *projection.Tx, id, after string, do func(key string, m *switchpollerv1.Seen) bool) error {
	prefix := ""
	if id != "" {
		prefix = subject.SwitchMAC(id, "")
	}
	var bad error
	err := tx.Each(bucket, prefix, after, func(key string, data []byte) bool {
		m := &switchpollerv1.Seen{}
		if proto.Unmarshal(data, m) != nil {
			bad = fmt.Errorf("decode %s: %w", key, projection.ErrDamaged)
			return false
		}
		return do(key, m)
	})
	if bad != nil {
		return bad
	}
	return err
}

// macOf returns the 12 hex digits at the end of a subject.
func macOf(key string) string { return key[strings.LastIndex(key, ".")+1:] }
