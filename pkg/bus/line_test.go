package bus_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/natstest"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// TestWaitingCommandsAreRefusedInTime has more commands than a service does at
// once: those that would wait beyond their deadline, or that still wait when the
// service stops, are told that they were not done.
func TestWaitingCommandsAreRefusedInTime(t *testing.T) {
	srv := natstest.Start(t)
	const all = 40
	var mu sync.Mutex
	begun, release := 0, make(chan struct{})
	svc := bus.NewService(srv.Connect(t, "inventory"), "inventory", "a test",
		bus.Handle("node", "show", func(_ context.Context, _ bus.Call, r *inventoryv1.ShowRequest) (*inventoryv1.ShowReply, error) {
			if r.Name == "there?" {
				return &inventoryv1.ShowReply{}, nil
			}
			mu.Lock()
			begun++
			mu.Unlock()
			<-release
			return &inventoryv1.ShowReply{}, nil
		}))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- svc.Run(ctx) }()
	c := srv.Connect(t, "operator")
	if _, err := ask(t, within(t, 20*time.Second), c, "there?"); err != nil {
		t.Fatal(err)
	}
	answers := make(chan error, all+1)
	send := func(limit time.Duration) {
		ctx := within(t, limit)
		go func() {
			_, err := bus.Request(ctx, c, show, &inventoryv1.ShowRequest{Name: "n"}, &inventoryv1.ShowReply{})
			answers <- err
		}()
	}
	busy := func() bool { mu.Lock(); defer mu.Unlock(); return begun == 16 }
	for range 16 {
		send(time.Minute)
	}
	for limit := within(t, 20*time.Second); !busy(); time.Sleep(time.Millisecond) {
		if limit.Err() != nil {
			t.Fatal("the service does not do 16 commands at once")
		}
	}
	for range all - 16 {
		send(5 * time.Second)
	}
	for range all - 16 {
		if err := <-answers; fault.KindOf(err) != fault.Unavailable || !strings.HasPrefix(err.Error(), "not done: earlier commands") {
			t.Errorf("a command that waits is told %v", err)
		}
	}
	send(time.Minute)
	stop()
	if err := <-answers; err == nil || !strings.Contains(err.Error(), "not done: ") {
		t.Errorf("a command that waits while the service stops is told %v", err)
	}
	close(release)
	for range 16 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if begun != 16 {
		t.Errorf("%d commands were begun", begun)
	}
}
