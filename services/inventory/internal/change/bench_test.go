package change_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
)

// BenchmarkRebuild folds the records of 64 changes of ten thousand nodes each into a new file.
func BenchmarkRebuild(b *testing.B) {
	conn := natstest.Start(b).Connect(b, "test")
	c := &inventoryv1.Change{Command: "inventory.node.change", Author: "root", Time: time.Now().UTC().Format(time.RFC3339Nano), Request: `{"all":true}`}
	for i := range 10000 {
		c.Touched = append(c.Touched, &inventoryv1.Touch{Noun: "node", Id: bus.NewID(), Name: fmt.Sprintf("node%05d", i+1)})
	}
	var seq uint64
	for range 64 {
		c.CommandId = bus.NewID()
		data, err := wire.Marshal(c)
		if err != nil {
			b.Fatal(err)
		}
		if seq, err = bus.PublishBatch(b.Context(), conn, []*nats.Msg{{Subject: subject.Change(c.CommandId), Data: data}}, seq); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		rebuild(b, conn, seq)
	}
}

func rebuild(b *testing.B, conn *bus.Conn, seq uint64) {
	s, err := projection.Open(filepath.Join(b.TempDir(), "state.db"), conn, slog.New(slog.DiscardHandler), change.Fold())
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithTimeout(b.Context(), time.Minute)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	if err := s.WaitFor(ctx, subject.Inventory, seq); err != nil {
		b.Fatal(err)
	}
	stop()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}
