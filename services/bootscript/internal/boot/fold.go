package boot

import (
	"fmt"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
)

const (
	stepBucket = "step"      // <boot>/<head>/<n> → Step, binary
	bootBucket = "node_boot" // <node id>/<boot> → nothing

	// keptFor is how long the stream keeps a step.
	keptFor = 90 * 24 * time.Hour
	// prunes is how many old steps one event takes away at most.
	prunes = 64
)

// Fold keeps the steps of all boots as a set: each is a fact of one head.
func Fold() projection.Fold {
	return projection.Fold{
		Stream: subject.Boots, Version: 1, Buckets: []string{stepBucket, bootBucket},
		Apply: func(tx *projection.Tx, ev projection.Event) error {
			var step bootscriptv1.Step
			if ev.Deleted() || wire.Event(ev.Data, &step) != nil || !valid(&step, ev.Subject) {
				return nil
			}
			data, err := proto.Marshal(&step)
			if err != nil {
				return fmt.Errorf("encode step %s: %w", ev.Subject, err)
			}
			if err := tx.Put(stepBucket, stepKey(&step), data); err != nil {
				return err
			}
			if err := tx.Put(bootBucket, step.NodeId+"/"+step.BootId, nil); err != nil {
				return err
			}
			return prune(tx, ev.Time.Add(-keptFor))
		},
	}
}

// valid tells whether a step is the one that its subject names.
func valid(s *bootscriptv1.Step, subj string) bool {
	return s.BootId != "" && s.NodeId != "" && !strings.Contains(s.NodeId, "/") && Subject(s) == subj
}

// Subject returns where a step is published.
func Subject(s *bootscriptv1.Step) string {
	return subject.Step(s.BootId, s.Head, fmt.Sprint(s.N))
}

func stepKey(s *bootscriptv1.Step) string {
	return fmt.Sprintf("%s/%s/%016d", s.BootId, s.Head, s.N)
}

// prune takes away steps that the stream has dropped; boot ids begin with
// their time, so the oldest come first.
func prune(tx *projection.Tx, before time.Time) error {
	var old []string
	var nodes []string
	err := tx.Each(stepBucket, "", "", func(key string, data []byte) bool {
		id, err := ulid.ParseStrict(key[:strings.IndexByte(key, '/')])
		if (err == nil && !id.Timestamp().Before(before)) || len(old) == prunes {
			return false
		}
		var s bootscriptv1.Step
		if proto.Unmarshal(data, &s) == nil {
			nodes = append(nodes, s.NodeId+"/"+s.BootId)
		}
		old = append(old, key)
		return true
	})
	if err != nil {
		return err
	}
	for _, key := range old {
		if err := tx.Delete(stepBucket, key); err != nil {
			return err
		}
	}
	for _, key := range nodes {
		if err := tx.Delete(bootBucket, key); err != nil {
			return err
		}
	}
	return nil
}

// stored returns the folded steps of a boot.
func stored(tx *projection.Tx, boot string) ([]*bootscriptv1.Step, error) {
	var steps []*bootscriptv1.Step
	var bad error
	err := tx.Each(stepBucket, boot+"/", "", func(key string, data []byte) bool {
		s := &bootscriptv1.Step{}
		if err := proto.Unmarshal(data, s); err != nil {
			bad = fmt.Errorf("decode step %s: %w", key, projection.ErrDamaged)
			return false
		}
		steps = append(steps, s)
		return true
	})
	if bad != nil {
		return nil, bad
	}
	return steps, err
}

// storedBoots returns the folded boots of a node, the oldest first.
func storedBoots(tx *projection.Tx, nodeID string) ([]string, error) {
	var ids []string
	err := tx.Each(bootBucket, nodeID+"/", "", func(key string, _ []byte) bool {
		ids = append(ids, strings.TrimPrefix(key, nodeID+"/"))
		return true
	})
	return ids, err
}
