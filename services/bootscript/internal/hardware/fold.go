package hardware

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
)

const bucket = "hardware" // node id → HardwareRecord, binary

// Fold keeps the newest record of each node; it has the one before in it.
func Fold() projection.Fold {
	return projection.Fold{
		Stream: subject.Hardware, Version: 1, Buckets: []string{bucket},
		Apply: func(tx *projection.Tx, ev projection.Event) error {
			node := ev.Subject[strings.LastIndexByte(ev.Subject, '.')+1:]
			if ev.Deleted() {
				return tx.Delete(bucket, node)
			}
			var r bootscriptv1.HardwareRecord
			if wire.Event(ev.Data, &r) != nil || !valid(&r, ev.Subject) {
				return nil
			}
			data, err := proto.MarshalOptions{Deterministic: true}.Marshal(&r)
			if err != nil {
				return fmt.Errorf("encode hardware of %s: %w", node, err)
			}
			return tx.Put(bucket, node, data)
		},
	}
}

// valid tells whether a record is the one that its subject names.
func valid(r *bootscriptv1.HardwareRecord, subj string) bool {
	return r.Now.GetNodeId() != "" && subject.HardwareOf(r.Now.NodeId) == subj
}

func stored(tx *projection.Tx, nodeID string) (*bootscriptv1.HardwareRecord, error) {
	data, err := tx.Get(bucket, nodeID)
	if err != nil || data == nil {
		return nil, err
	}
	r := &bootscriptv1.HardwareRecord{}
	if err := proto.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("decode hardware of %s: %w", nodeID, projection.ErrDamaged)
	}
	return r, nil
}
