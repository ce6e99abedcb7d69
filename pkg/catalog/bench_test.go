package catalog_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// BenchmarkRebuild10000 folds ten thousand nodes into a new file.
func BenchmarkRebuild10000(b *testing.B) {
	conn := natstest.Start(b).Connect(b, "test")
	var batch []*nats.Msg
	for i := range 10000 {
		n := &inventoryv1.Node{Id: bus.NewID(), Name: fmt.Sprintf("node%05d", i), GroupId: "G", Mac: fmt.Sprintf("52:54:00:00:%02x:%02x", i>>8, i&255),
			Addresses: []*inventoryv1.NodeAddress{{Interface: catalog.BootIf, NetworkId: "W", Address: fmt.Sprintf("10.30.%d.%d", i/250, i%250+1)}}}
		data, err := wire.Marshal(n)
		if err != nil {
			b.Fatal(err)
		}
		batch = append(batch, &nats.Msg{Subject: subject.Object("node", n.Id), Data: data})
	}
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	seq, err := bus.PublishBatch(ctx, conn, batch, 0)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		rebuild(b, conn, seq)
	}
}

func rebuild(b *testing.B, conn *bus.Conn, seq uint64) {
	s, err := projection.Open(filepath.Join(b.TempDir(), "state.db"), conn, slog.New(slog.DiscardHandler), catalog.Fold())
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
