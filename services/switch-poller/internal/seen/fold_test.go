package seen_test

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	switchpollerv1 "github.com/luna-hpc/luna/proto/switchpoller/v1"
	"github.com/luna-hpc/luna/services/switch-poller/internal/seen"
)

func TestWhatIsOverIsNotListed(t *testing.T) {
	c := natstest.Start(t).Connect(t, "switch-poller")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	now := time.Now()
	var last uint64
	for mac, until := range map[string]time.Time{"525400000001": now.Add(time.Hour), "525400000002": now.Add(-time.Hour)} {
		data, err := wire.Marshal(&switchpollerv1.Seen{SwitchId: "sw", Mac: mac, PortName: "ge1", ExpiresAt: until.Format(time.RFC3339)})
		if err != nil {
			t.Fatal(err)
		}
		ack, err := c.JS.Publish(ctx, subject.SwitchMAC("sw", mac), data)
		if err != nil {
			t.Fatal(err)
		}
		last = max(last, ack.Sequence)
	}
	s, err := projection.Open(filepath.Join(t.TempDir(), "s.db"), c, slog.New(slog.NewTextHandler(io.Discard, nil)), seen.Fold())
	if err != nil {
		t.Fatal(err)
	}
	run, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.Run(run) }()
	if err := s.WaitFor(ctx, subject.Seen, last); err != nil {
		t.Fatal(err)
	}
	var got []*switchpollerv1.Seen
	err = s.View(func(tx *projection.Tx) (err error) { got, err = seen.List(tx, now, 10); return err })
	if err != nil || len(got) != 1 || got[0].Mac != "525400000001" {
		t.Errorf("%v %v", got, err)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
