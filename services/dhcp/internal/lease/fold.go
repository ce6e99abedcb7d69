package lease

import (
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	dhcpv1 "github.com/luna-hpc/luna/proto/dhcp/v1"
)

const bucket = "lease" // MAC in hex → dhcp.v1.Lease, binary

// Fold keeps the last lease of each MAC.
func Fold() projection.Fold {
	prefix := subject.Lease("")
	return projection.Fold{Stream: subject.Seen, Version: 1, Buckets: []string{bucket},
		Apply: func(tx *projection.Tx, ev projection.Event) error {
			mac, ok := strings.CutPrefix(ev.Subject, prefix)
			if !ok {
				return nil
			}
			m := &dhcpv1.Lease{}
			if ev.Deleted() || wire.Event(ev.Data, m) != nil {
				return tx.Delete(bucket, mac)
			}
			data, err := proto.Marshal(m)
			if err != nil {
				return err
			}
			return tx.Put(bucket, mac, data)
		}}
}

// Kept returns the leases of the state with those of the outbox, if one is
// given, on top; what cannot be read is left out.
func Kept(state *projection.State, box *outbox.Outbox) ([]Lease, error) {
	var all []Lease
	take := func(m *dhcpv1.Lease) {
		if l, err := Parse(m); err == nil {
			all = append(all, l)
		}
	}
	err := state.View(func(tx *projection.Tx) error {
		return tx.Each(bucket, "", "", func(_ string, data []byte) bool {
			m := &dhcpv1.Lease{}
			if proto.Unmarshal(data, m) == nil {
				take(m)
			}
			return true
		})
	})
	if err != nil || box == nil {
		return all, err
	}
	err = box.Each(func(e outbox.Entry) {
		m := &dhcpv1.Lease{}
		if wire.Event(e.Data, m) == nil {
			take(m)
		}
	})
	return all, err
}
