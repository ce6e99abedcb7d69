package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/subject"
	outboxv1 "github.com/luna-hpc/luna/proto/outbox/v1"
)

// CopyNoun and CopyVerb name the command that Endpoint answers.
const (
	CopyNoun = "outbox"
	CopyVerb = "copy"
)

// Endpoint is the command that puts a copy of the outbox of this head into the
// bucket of inputs, where it lies for a day.
func (o *Outbox) Endpoint(head string) bus.Endpoint {
	return bus.Handle(CopyNoun, CopyVerb, func(ctx context.Context, _ bus.Call, req *outboxv1.CopyRequest) (*outboxv1.CopyReply, error) {
		rep := &outboxv1.CopyReply{Head: head}
		if req.Head != "" && req.Head != head {
			return rep, nil
		}
		return rep, o.offer(ctx, rep)
	})
}

// offer stores a copy as an object and says in the reply which.
func (o *Outbox) offer(ctx context.Context, rep *outboxv1.CopyReply) error {
	f, err := o.copy(rep)
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return fault.Unavailablef("not done: %s is stopping", o.conn.User)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	store, err := o.conn.JS.ObjectStore(ctx, subject.Inputs)
	if err != nil {
		return fault.Unavailablef("not done: bucket %s cannot be opened: %w", subject.Inputs, err)
	}
	info, err := store.Put(ctx, jetstream.ObjectMeta{Name: "outbox-" + o.conn.User + "-" + bus.NewID()}, f)
	if err != nil {
		return fault.Unavailablef("not done: the copy cannot be stored in bucket %s: %w", subject.Inputs, err)
	}
	rep.Object, rep.Bytes = info.Name, int64(info.Size)
	return nil
}

// copy writes a consistent copy into a nameless file and rewinds it. The way
// over the bus may take long; a transaction that is open as long would keep
// writers from making the file larger.
func (o *Outbox) copy(rep *outboxv1.CopyReply) (*os.File, error) {
	f, err := os.CreateTemp(filepath.Dir(o.db.Path()), ".outbox-copy-")
	if err != nil {
		return nil, fmt.Errorf("copy outbox: %w", err)
	}
	err = os.Remove(f.Name())
	if err == nil {
		err = o.db.View(func(tx *bolt.Tx) error {
			rep.Time = time.Now().UTC().Format(time.RFC3339Nano)
			rep.Entries = int64(tx.Bucket(bucket).Stats().KeyN)
			_, err := tx.WriteTo(f)
			return err
		})
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, fmt.Errorf("copy outbox: %w", errors.Join(err, f.Close()))
	}
	return f, nil
}

// ReadFile calls do for all entries of an outbox file, which it leaves as it
// is; no process may have it open.
func ReadFile(path string, do func(Entry)) error {
	return withFile(path, true, func(o *Outbox) error { return o.Each(do) })
}

// Prune removes the entries of an outbox file that drop reports; no process may
// have it open.
func Prune(path string, drop func(Entry) bool) error {
	return withFile(path, false, func(o *Outbox) error {
		return o.db.Update(func(tx *bolt.Tx) error {
			var gone [][]byte
			err := tx.Bucket(bucket).ForEach(func(k, v []byte) error {
				var e Entry
				if err := json.Unmarshal(v, &e); err != nil {
					return fmt.Errorf("outbox entry %s: %w", k, err)
				}
				if drop(e) {
					gone = append(gone, append([]byte(nil), k...))
				}
				return nil
			})
			for _, k := range gone {
				err = errors.Join(err, tx.Bucket(bucket).Delete(k))
			}
			return err
		})
	})
}

// withFile opens an outbox file, which must be there, for a moment.
func withFile(path string, readOnly bool, do func(*Outbox) error) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, ReadOnly: readOnly})
	if err != nil {
		return fmt.Errorf("open outbox %s: %w", path, err)
	}
	err = db.View(func(tx *bolt.Tx) error {
		if tx.Bucket(bucket) == nil {
			return fmt.Errorf("%s is no outbox", path)
		}
		return nil
	})
	if err == nil {
		err = do(&Outbox{db: db})
	}
	return errors.Join(err, db.Close())
}
