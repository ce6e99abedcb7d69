package kept

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/subject"
)

// patience is how long one file may take.
const patience = 5 * time.Minute

// Bucket is the bus's store of released files.
type Bucket struct{ Conn *bus.Conn }

// Get opens an object of the bucket.
func (b Bucket) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := b.Conn.Up(); err != nil {
		return nil, err
	}
	// The object store looks for a stalled read every few seconds only while its context has no deadline.
	ctx, cancel := context.WithCancel(ctx)
	store, err := b.Conn.JS.ObjectStore(ctx, subject.Files)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("open bucket %s: %w", subject.Files, err)
	}
	object, err := store.Get(ctx, name)
	if err != nil {
		cancel()
		return nil, err
	}
	return &opened{ReadCloser: object, cancel: cancel, limit: time.AfterFunc(patience, cancel)}, nil
}

type opened struct {
	io.ReadCloser
	cancel context.CancelFunc
	limit  *time.Timer
}

// Close ends the reading.
func (o *opened) Close() error {
	o.limit.Stop()
	err := o.ReadCloser.Close()
	o.cancel()
	return err
}
