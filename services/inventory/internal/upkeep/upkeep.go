// Package upkeep takes out of the streams what the inventory needs no longer.
package upkeep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
)

// msgSize is the header in which the server tells the size of a body that it leaves out.
const msgSize = "Nats-Msg-Size"

const (
	every = time.Hour
	// unnamed is how long a secret may be named by no object: the change that names it comes after it.
	unnamed = 24 * time.Hour
	// mourned is how long the news of a deletion is kept for those who follow.
	mourned = 90 * 24 * time.Hour
)

// Upkeep is a task that tidies up every hour. Several inventories may do so at once.
type Upkeep struct {
	conn  *bus.Conn
	state *projection.State
	log   *slog.Logger
	now   func() time.Time
	// idle counts in how many rounds on end a secret was named by nothing. Rounds
	// are an hour apart whatever the clock says: one that is a day ahead must not
	// take away a secret whose change is just being made.
	idle map[string]int
	// buried are secrets whose deletion was published, for the next round to purge.
	buried map[string]bool
}

// idleRounds is in how many rounds on end a secret must be named by nothing.
const idleRounds = 2

// New returns the upkeep of the inventory that has this state.
func New(conn *bus.Conn, state *projection.State, log *slog.Logger, now func() time.Time) *Upkeep {
	return &Upkeep{conn: conn, state: state, log: log, now: now, idle: map[string]int{}, buried: map[string]bool{}}
}

// Run tidies up every hour until ctx ends.
func (u *Upkeep) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
		if err := u.Tidy(ctx); err != nil && ctx.Err() == nil {
			u.log.Warn("old messages are not taken out of the streams; next try in an hour", "err", err)
		}
	}
}

// Ready is always nil: nobody waits for this.
func (u *Upkeep) Ready() error { return nil }

// String returns "upkeep".
func (u *Upkeep) String() string { return "upkeep" }

// Tidy is one round.
func (u *Upkeep) Tidy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, every/2)
	defer cancel()
	stream, err := u.conn.JS.Stream(ctx, subject.Inventory)
	if err != nil {
		return fmt.Errorf("look for old messages: %w", err)
	}
	return errors.Join(u.records(ctx, stream), u.deletions(ctx, stream), u.secrets(ctx, stream))
}

// records purges the change records that the state has dropped.
func (u *Upkeep) records(ctx context.Context, stream jetstream.Stream) error {
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(subject.Change("*")))
	if err != nil {
		return fmt.Errorf("look for old change records: %w", err)
	}
	if len(info.State.Subjects) <= change.Kept {
		return nil
	}
	// All that was listed is in the state then, unless it was dropped.
	if err := u.state.WaitFor(ctx, subject.Inventory, info.State.LastSeq); err != nil {
		return err
	}
	for s := range info.State.Subjects {
		_, id, _ := subject.ParseObject(s)
		var kept *inventoryv1.ChangeAt
		err := u.state.View(func(tx *projection.Tx) (err error) { kept, err = change.Record(tx, id); return err })
		if err != nil {
			return err
		}
		if kept != nil {
			continue
		}
		if err := stream.Purge(ctx, jetstream.WithPurgeSubject(s)); err != nil {
			return fmt.Errorf("purge an old change record: %w", err)
		}
	}
	return nil
}

// deletions purges subjects of the inventory whose object was deleted long ago, and what deleted nodes told of their
// hardware.
func (u *Upkeep) deletions(ctx context.Context, stream jetstream.Stream) error {
	consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, HeadersOnly: true, FilterSubject: ">",
		InactiveThreshold: 30 * time.Second, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
	})
	if err != nil {
		return fmt.Errorf("look for old deletions: %w", err)
	}
	for left := consumer.CachedInfo().NumPending; left > 0; {
		msgs, err := consumer.Fetch(int(min(left, 500)), jetstream.FetchMaxWait(10*time.Second))
		if err != nil {
			return fmt.Errorf("look for old deletions: %w", err)
		}
		n := uint64(0)
		for msg := range msgs.Messages() {
			n++
			if err := u.deletion(ctx, stream, msg); err != nil {
				return err
			}
		}
		if err := msgs.Error(); err != nil || n == 0 {
			return fmt.Errorf("look for old deletions, %d messages left: %w", left, err)
		}
		left -= min(n, left)
	}
	return nil
}

func (u *Upkeep) deletion(ctx context.Context, stream jetstream.Stream, msg jetstream.Msg) error {
	md, err := msg.Metadata()
	if err != nil {
		return fmt.Errorf("message without metadata: %w", err)
	}
	if msg.Headers().Get(msgSize) != "0" || u.now().Sub(md.Timestamp) < mourned {
		return nil
	}
	if noun, id, _ := subject.ParseObject(msg.Subject()); noun == "node" {
		if err := u.hardware(ctx, id); err != nil {
			return err // the deletion stays, so that the next round tries again
		}
	}
	// Up to the deletion only: an address may have come to rest again since.
	err = stream.Purge(ctx, jetstream.WithPurgeSubject(msg.Subject()), jetstream.WithPurgeSequence(md.Sequence.Stream+1))
	if err != nil {
		return fmt.Errorf("purge an old deletion: %w", err)
	}
	return nil
}

// hardware purges what a node told of its hardware.
func (u *Upkeep) hardware(ctx context.Context, node string) error {
	stream, err := u.conn.JS.Stream(ctx, subject.Hardware)
	if err == nil {
		err = stream.Purge(ctx, jetstream.WithPurgeSubject(subject.HardwareOf(node)))
	}
	if err != nil {
		return fmt.Errorf("purge the hardware of a node that is gone: %w", err)
	}
	return nil
}

// secrets takes away those that no object named in two rounds: first for the
// followers, a round later from the stream.
func (u *Upkeep) secrets(ctx context.Context, objects jetstream.Stream) error {
	stream, err := u.conn.JS.Stream(ctx, subject.Secrets)
	if err != nil {
		return fmt.Errorf("look for unused secrets: %w", err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(">"))
	if err != nil {
		return fmt.Errorf("look for unused secrets: %w", err)
	}
	now, err := objects.Info(ctx)
	if err != nil {
		return fmt.Errorf("look for unused secrets: %w", err)
	}
	if err := u.state.WaitFor(ctx, subject.Inventory, now.State.LastSeq); err != nil {
		return err
	}
	named, err := u.named()
	if err != nil {
		return err
	}
	for s := range info.State.Subjects {
		id := strings.TrimPrefix(s, subject.Secret(""))
		made, err := ulid.ParseStrict(id)
		u.idle[id]++
		switch {
		case named[id]:
			delete(u.idle, id)
			continue
		case u.idle[id] < idleRounds:
			continue
		case err == nil && u.now().Sub(ulid.Time(made.Time())) < unnamed:
			continue
		case u.buried[id]:
			err = stream.Purge(ctx, jetstream.WithPurgeSubject(s))
			delete(u.buried, id)
			delete(u.idle, id)
		default:
			_, err = u.conn.JS.Publish(ctx, s, nil)
			u.buried[id] = true
		}
		if err != nil {
			return fmt.Errorf("take away secret %s: %w", id, err)
		}
	}
	return nil
}

// named returns the secrets that objects name.
func (u *Upkeep) named() (map[string]bool, error) {
	ids := map[string]bool{}
	err := catalog.Read(u.state, func(v catalog.View) error {
		c, err := v.Cluster()
		if err != nil {
			return err
		}
		ids[c.GetTokenKeyId()] = true
		switches, err := v.Switches()
		for _, s := range switches {
			ids[s.ReadId], ids[s.RwId], ids[s.AuthId], ids[s.PrivId] = true, true, true, true
		}
		if err != nil {
			return err
		}
		return v.Each(catalog.Bmcsetup, "", func(o *inventoryv1.Object) bool {
			ids[o.GetBmcsetup().PasswordId] = true
			return true
		})
	})
	return ids, err
}
