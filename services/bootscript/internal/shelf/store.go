package shelf

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/subject"
)

// patience is how long one file may take.
const patience = 30 * time.Minute

// Store is where released files come from.
type Store interface {
	// Copy writes an object to w.
	Copy(ctx context.Context, name string, w io.Writer) error
}

// Bucket is the bus's store of released files.
type Bucket struct{ Conn *bus.Conn }

// Copy reads an object of the bucket.
func (b Bucket) Copy(ctx context.Context, name string, w io.Writer) error {
	if err := b.Conn.Up(); err != nil {
		return err
	}
	// A deadline would make a stalled read last until then; without one the
	// object is looked at every few seconds.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer time.AfterFunc(patience, cancel).Stop()
	store, err := b.Conn.JS.ObjectStore(ctx, subject.Files)
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", subject.Files, err)
	}
	object, err := store.Get(ctx, name)
	if err != nil {
		return fmt.Errorf("get %s: %w", name, err)
	}
	_, err = io.Copy(w, object)
	if closeErr := object.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}
