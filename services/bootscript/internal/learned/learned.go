// Package learned keeps which MAC switches have seen on which of their ports.
package learned

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	switchpollerv1 "github.com/luna-hpc/luna/proto/switchpoller/v1"
	"github.com/luna-hpc/luna/services/bootscript/internal/machine"
)

const bucket = "learned" // <MAC as 12 hex digits>/<switch id> → Seen, binary

// Fold keeps the MACs of the stream of what was seen.
func Fold() projection.Fold {
	return projection.Fold{Stream: subject.Seen, Version: 1, Buckets: []string{bucket}, Apply: apply}
}

func apply(tx *projection.Tx, ev projection.Event) error {
	switchID, mac, ok := subject.ParseSwitchMAC(ev.Subject)
	if !ok {
		return nil
	}
	key := mac + "/" + switchID
	m := &switchpollerv1.Seen{}
	if ev.Deleted() || wire.Event(ev.Data, m) != nil {
		return tx.Delete(bucket, key)
	}
	data, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode learned MAC: %w", err)
	}
	return tx.Put(bucket, key, data)
}

// Places returns where switches have seen a MAC lately. What is over by a time
// is left out: another machine may have the port since.
func Places(tx *projection.Tx, mac machine.MAC, now time.Time) ([]*switchpollerv1.Seen, error) {
	var all []*switchpollerv1.Seen
	err := tx.Each(bucket, mac.Token()+"/", "", func(key string, data []byte) bool {
		m := &switchpollerv1.Seen{}
		if proto.Unmarshal(data, m) != nil {
			return true
		}
		until, err := time.Parse(time.RFC3339, m.ExpiresAt)
		if err == nil && now.Before(until) {
			_, m.SwitchId, _ = strings.Cut(key, "/")
			all = append(all, m)
		}
		return true
	})
	return all, err
}
