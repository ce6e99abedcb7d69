// Package outbox keeps what a service must tell the bus until the bus has it.
package outbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	bolt "go.etcd.io/bbolt"

	"github.com/luna-hpc/luna/pkg/bus"
)

// Entry is one message that waits for its acknowledgement.
type Entry struct {
	// ID is the entry's own; the bus drops a second message with it.
	ID      string        `json:"id"`
	Subject string        `json:"subject"`
	Data    []byte        `json:"data"`
	TTL     time.Duration `json:"ttl,omitempty"`
	Made    time.Time     `json:"made"`
}

// Outbox is a bbolt file of entries. It is the only copy of them.
type Outbox struct {
	db   *bolt.DB
	conn *bus.Conn
	log  *slog.Logger
	// applied waits until the service's own state shows a sequence of a stream.
	applied func(ctx context.Context, stream string, seq uint64) error
	// before makes the bus ready for an entry; it may run more than once for one.
	before func(ctx context.Context, e Entry) error

	added chan struct{}
	// acked is the key of an entry that the bus has and that could not be removed.
	acked []byte

	mu    sync.Mutex
	stuck error
	fails float64
}

var bucket = []byte("entries")

const (
	// idle is how long an outbox that has nothing to do waits at most.
	idle = time.Minute
	// soonest and latest are how long it waits after tries that failed.
	soonest, latest = time.Second, 15 * time.Second
)

// Open opens or makes the file. applied is called after an acknowledgement and
// before the entry is removed, so that a reader who puts the outbox on top of
// the state misses nothing; nil waits for nothing.
func Open(path string, conn *bus.Conn, log *slog.Logger, applied func(ctx context.Context, stream string, seq uint64) error) (*Outbox, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second})
	if err != nil {
		return nil, fmt.Errorf("open outbox %s: %w", path, err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("open outbox %s: %w", path, err)
	}
	return &Outbox{db: db, conn: conn, log: log, applied: applied, added: make(chan struct{}, 1)}, nil
}

// Before sets what must be done on the bus before an entry is published, such
// as storing the files that it names. It is called again when it failed, or
// when the process ended before the acknowledgement. Set it before Run.
func (o *Outbox) Before(do func(ctx context.Context, e Entry) error) { o.before = do }

// Put keeps entries, synced to disk when it returns. Missing ids and times are made.
func (o *Outbox) Put(entries ...Entry) error {
	err := o.db.Batch(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucket)
		for _, e := range entries {
			if e.ID == "" {
				e.ID = bus.NewID()
			}
			if e.Made.IsZero() {
				e.Made = time.Now()
			}
			n, err := b.NextSequence()
			if err != nil {
				return err
			}
			v, err := json.Marshal(e)
			if err != nil {
				return err
			}
			if err := b.Put(fmt.Appendf(nil, "%016x", n), v); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep in outbox: %w", err)
	}
	select {
	case o.added <- struct{}{}:
	default:
	}
	return nil
}

// Each calls do for all entries, the oldest first.
func (o *Outbox) Each(do func(Entry)) error {
	return o.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucket).ForEach(func(k, v []byte) error {
			var e Entry
			if err := json.Unmarshal(v, &e); err != nil {
				return fmt.Errorf("outbox entry %s: %w", k, err)
			}
			do(e)
			return nil
		})
	})
}

// Len returns how many entries wait.
func (o *Outbox) Len() int {
	n := 0
	_ = o.db.View(func(tx *bolt.Tx) error { n = tx.Bucket(bucket).Stats().KeyN; return nil }) // View of a plain count cannot fail
	return n
}

// Run publishes entries in order until ctx ends, then closes the file. What the
// bus does not take is tried again for ever, ever less often, and at once when
// the bus is connected anew.
func (o *Outbox) Run(ctx context.Context) error {
	wait := idle
	for ctx.Err() == nil {
		connected := o.conn.Connected()
		err := o.drain(ctx)
		o.note(ctx, err)
		added := o.added
		switch {
		case err == nil:
			wait = idle
		case wait == idle:
			wait, added = soonest, nil
		default:
			wait, added = min(2*wait, latest), nil
		}
		select {
		case <-ctx.Done():
		case <-added:
		case <-connected:
			wait = idle
		case <-time.After(wait):
		}
	}
	return o.db.Close()
}

func (o *Outbox) drain(ctx context.Context) error {
	for ctx.Err() == nil {
		key, e, err := o.first()
		if err != nil || key == nil {
			return err
		}
		if !bytes.Equal(key, o.acked) {
			if err := o.publish(ctx, e); err != nil {
				return fmt.Errorf("publish %s: %w", e.Subject, err)
			}
		}
		o.acked = key
		if err := o.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucket).Delete(key) }); err != nil {
			return fmt.Errorf("remove what the bus has from the outbox: %w", err)
		}
		o.acked = nil
	}
	return ctx.Err()
}

func (o *Outbox) first() (key []byte, e Entry, err error) {
	err = o.db.View(func(tx *bolt.Tx) error {
		k, v := tx.Bucket(bucket).Cursor().First()
		if k == nil {
			return nil
		}
		key = append([]byte(nil), k...)
		return json.Unmarshal(v, &e)
	})
	return key, e, err
}

func (o *Outbox) publish(ctx context.Context, e Entry) error {
	if err := o.conn.Up(); err != nil {
		return err
	}
	if o.before != nil {
		if err := o.before(ctx, e); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	opts := []jetstream.PublishOpt{jetstream.WithMsgID(e.ID), jetstream.WithRetryAttempts(0)}
	if e.TTL > 0 {
		opts = append(opts, jetstream.WithMsgTTL(e.TTL))
	}
	ack, err := o.conn.JS.PublishMsg(ctx, &nats.Msg{Subject: e.Subject, Data: e.Data}, opts...)
	if err != nil {
		return bus.Explain(ctx, o.conn, e.Subject, err)
	}
	if o.applied != nil && !ack.Duplicate {
		return o.applied(ctx, ack.Stream, ack.Sequence)
	}
	return nil
}

// Ready is always nil: what waits in the outbox is safe, and Warnings tell of it.
func (o *Outbox) Ready() error { return nil }

// String returns "outbox".
func (o *Outbox) String() string { return "outbox" }

// note keeps what came of a try to publish, and tells when that changes.
func (o *Outbox) note(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	o.mu.Lock()
	was := o.stuck
	o.stuck = err
	if err != nil {
		o.fails++
	}
	o.mu.Unlock()
	switch {
	case err != nil && was == nil && o.conn.Up() == nil: // a bus that is away is told of by the connection
		o.log.Warn("facts wait in the outbox", "entries", o.Len(), "err", err)
	case err == nil && was != nil:
		o.log.Info("the bus has all that waited in the outbox")
	}
}

// Warnings says that entries wait because the bus does not take them.
func (o *Outbox) Warnings() []string {
	if err := o.Stuck(); err != nil {
		return []string{fmt.Sprintf("outbox: %d entries wait: %v", o.Len(), err)}
	}
	return nil
}

// Collect adds the outbox's figures to those of its service.
func (o *Outbox) Collect(reg prometheus.Registerer) {
	reg.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "luna_outbox_entries", Help: "Facts that the bus does not have yet."},
			func() float64 { return float64(o.Len()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "luna_outbox_failures_total", Help: "Tries to publish that the bus did not take."},
			func() float64 { o.mu.Lock(); defer o.mu.Unlock(); return o.fails }))
}

// Stuck returns why the last try to publish failed; nil when all went out.
func (o *Outbox) Stuck() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.stuck
}
