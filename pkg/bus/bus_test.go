package bus_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// serve runs a service whose node.show does what the test wants.
func serve(t *testing.T, conn *bus.Conn, do func(context.Context, bus.Call, *inventoryv1.ShowRequest) (*inventoryv1.ShowReply, error)) {
	t.Helper()
	s := bus.NewService(conn, "inventory", "a test", bus.Handle("node", "show", do))
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestReadyOnceAllCommandsAreListenedFor(t *testing.T) {
	srv := natstest.Start(t)
	var all []bus.Endpoint
	for _, verb := range []string{"add", "change", "show"} {
		all = append(all, bus.Handle("node", verb, func(context.Context, bus.Call, *inventoryv1.ShowRequest) (*inventoryv1.ShowReply, error) {
			return &inventoryv1.ShowReply{}, nil
		}))
	}
	s := bus.NewService(srv.Connect(t, "inventory"), "inventory", "a test", all...)
	if err := s.Ready(); err == nil {
		t.Error("ready before it runs")
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	limit := within(t, time.Minute)
	for s.Ready() != nil && limit.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	client := srv.Connect(t, "operator")
	for _, verb := range []string{"add", "change", "show"} { // at once, all of them
		if _, err := bus.Request(limit, client, subject.Command("inventory", "node", verb), &inventoryv1.ShowRequest{}, &inventoryv1.ShowReply{}); err != nil {
			t.Error(err)
		}
	}
}

const show = "luna.cmd.inventory.node.show"

// ask sends a command, again while the service is not there yet.
func ask(t *testing.T, ctx context.Context, c *bus.Conn, name string) (*inventoryv1.ShowReply, error) {
	t.Helper()
	for {
		rep, err := bus.Request(ctx, c, show, &inventoryv1.ShowRequest{Name: name}, &inventoryv1.ShowReply{})
		if err == nil || !strings.Contains(err.Error(), "nobody answers") || ctx.Err() != nil {
			return rep, err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestErrorsKeepTheirKindAndHideTheirCause(t *testing.T) {
	srv := natstest.Start(t)
	serve(t, srv.Connect(t, "inventory"), func(_ context.Context, call bus.Call, r *inventoryv1.ShowRequest) (*inventoryv1.ShowReply, error) {
		switch r.Name {
		case "invalid":
			return nil, fault.Invalidf("name %q is no name", r.Name)
		case "missing":
			return nil, fault.NotFoundf("there is no node %q", r.Name)
		case "conflict":
			return nil, fault.Conflictf("changed meanwhile")
		case "away":
			return nil, fault.Unavailablef("not done: away")
		case "panic":
			panic("the password is hunter2")
		case "internal":
			return nil, errors.New("open /secret: denied")
		}
		return &inventoryv1.ShowReply{Revision: 7, Names: map[string]string{"command": call.Command, "author": call.Author}}, nil
	})
	c := srv.Connect(t, "operator")
	ctx := within(t, 30*time.Second)
	rep, err := ask(t, bus.WithCall(ctx, bus.Call{Author: "me"}), c, "node001")
	if err != nil || rep.Revision != 7 || rep.Names["command"] != "inventory.node.show" || rep.Names["author"] != "me" {
		t.Fatalf("%v, %v", rep, err)
	}
	for name, kind := range map[string]fault.Kind{"invalid": fault.Invalid, "missing": fault.NotFound,
		"conflict": fault.Conflict, "away": fault.Unavailable, "panic": fault.Internal, "internal": fault.Internal} {
		_, err := ask(t, ctx, c, name)
		if fault.KindOf(err) != kind {
			t.Errorf("%s: %v", name, err)
		}
		if kind == fault.Internal && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s tells %q", name, err)
		}
	}
}

func TestACommandByHand(t *testing.T) {
	srv := natstest.Start(t)
	did := make(chan string, 10)
	serve(t, srv.Connect(t, "inventory"), func(_ context.Context, _ bus.Call, r *inventoryv1.ShowRequest) (*inventoryv1.ShowReply, error) {
		did <- r.Name
		return nil, fault.NotFoundf("there is no node %q", r.Name)
	})
	c := srv.Connect(t, "operator")
	ctx := within(t, 30*time.Second)
	if _, err := ask(t, ctx, c, "first"); fault.KindOf(err) != fault.NotFound {
		t.Fatal(err)
	}
	<-did
	// A misspelt field is named, an empty body is an empty request.
	got, err := c.NATS.RequestWithContext(ctx, show, []byte(`{"nmae":"x"}`))
	if err != nil || got.Header.Get("Nats-Service-Error-Code") != "400" || !strings.Contains(string(got.Data), "nmae") {
		t.Errorf("%v, %+v", err, got)
	}
	if _, err := c.NATS.RequestWithContext(ctx, show, nil); err != nil {
		t.Error(err)
	}
	if name := <-did; name != "" {
		t.Errorf("did %q", name)
	}
	// Too late is refused, and not done.
	late := &nats.Msg{Subject: show, Header: nats.Header{}, Data: []byte(`{"name":"late"}`)}
	late.Header.Set(bus.HeaderDeadline, time.Now().Add(-time.Second).Format(time.RFC3339Nano))
	got, err = c.NATS.RequestMsgWithContext(ctx, late)
	if err != nil || got.Header.Get("Nats-Service-Error-Code") != "503" || !strings.Contains(string(got.Data), "deadline") {
		t.Errorf("%v, %+v", err, got)
	}
	// Without a requester a refusal is published.
	refusals, err := c.NATS.SubscribeSync(subject.Refused("inventory"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.NATS.Publish(show, []byte(`{"name":"gone"}`)); err != nil {
		t.Fatal(err)
	}
	msg, err := refusals.NextMsgWithContext(ctx)
	if err != nil || !strings.Contains(string(msg.Data), "not found") || !strings.Contains(string(msg.Data), `no node "gone"`) {
		t.Fatalf("%v, %v", err, msg)
	}
	if name := <-did; name != "gone" {
		t.Errorf("did %q", name)
	}
}

func TestWhatIsKnownWithoutAReply(t *testing.T) {
	srv := natstest.Start(t)
	c := srv.Connect(t, "operator")
	_, err := bus.Request(within(t, 10*time.Second), c, show, &inventoryv1.ShowRequest{}, &inventoryv1.ShowReply{})
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "not done: nobody answers on "+show) {
		t.Errorf("no service: %v", err)
	}
	release := make(chan struct{})
	serve(t, srv.Connect(t, "inventory"), func(context.Context, bus.Call, *inventoryv1.ShowRequest) (*inventoryv1.ShowReply, error) {
		<-release
		return nil, nil
	})
	for { // until somebody is silent instead of nobody there
		ctx := bus.WithCall(within(t, 300*time.Millisecond), bus.Call{ID: "01COMMAND"})
		if _, err = bus.Request(ctx, c, show, &inventoryv1.ShowRequest{}, &inventoryv1.ShowReply{}); !strings.Contains(err.Error(), "nobody") {
			break
		}
	}
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "outcome unknown") || !strings.Contains(err.Error(), "luna history 01COMMAND") {
		t.Errorf("silent service: %v", err)
	}
	close(release)
	srv.Stop()
	for c.Up() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	_, err = bus.Request(within(t, 10*time.Second), c, show, &inventoryv1.ShowRequest{}, &inventoryv1.ShowReply{})
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "not done: the bus") {
		t.Errorf("no bus: %v", err)
	}
}

func TestConnectsToAServerThatComesLater(t *testing.T) {
	srv := natstest.Start(t)
	srv.Stop()
	c, err := bus.Connect(bus.Options{InProcess: srv, User: "late", Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if c.Up() == nil {
		t.Fatal("connected to nothing")
	}
	if err := c.NATS.Publish("luna.log.x", nil); err == nil {
		t.Error("a message was taken for later")
	}
	connected := c.Connected()
	srv.Restart(t, nil)
	select {
	case <-connected:
	case <-within(t, 20*time.Second).Done():
		t.Fatal(c.Up())
	}
	if err := c.Up(); err != nil {
		t.Error(err)
	}
}

func TestSetupTwiceAndToOtherLimits(t *testing.T) {
	srv := natstest.Start(t)
	js := srv.Connect(t, "setup").JS
	ctx := within(t, 30*time.Second)
	old, err := js.Stream(ctx, subject.Images)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(ctx, subject.Release("O1"), []byte("{}")); err != nil {
		t.Fatal(err)
	}
	cfg := old.CachedInfo().Config
	cfg.MaxMsgsPerSubject = 3 // as an older version made it
	if _, err := js.UpdateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := bus.Setup(ctx, js, 1); err != nil {
			t.Fatal(err)
		}
	}
	now, err := js.Stream(ctx, subject.Images)
	if err != nil {
		t.Fatal(err)
	}
	if info := now.CachedInfo(); info.Config.MaxMsgsPerSubject != 16 || info.State.Msgs != 1 {
		t.Errorf("%d a subject, %d messages", info.Config.MaxMsgsPerSubject, info.State.Msgs)
	}
}

// TestWhatDoesNotFitAMessageIsSaid asks for answers that are larger than a message.
func TestWhatDoesNotFitAMessageIsSaid(t *testing.T) {
	srv := natstest.Start(t)
	serve(t, srv.Connect(t, "inventory"), func(_ context.Context, _ bus.Call, r *inventoryv1.ShowRequest) (*inventoryv1.ShowReply, error) {
		if r.Name == "much" {
			return &inventoryv1.ShowReply{Names: map[string]string{"a": strings.Repeat("x", 2<<20)}}, nil
		}
		return nil, fault.Invalidf("name %q is no name", r.Name)
	})
	c := srv.Connect(t, "operator")
	ctx := within(t, 30*time.Second)
	_, err := ask(t, ctx, c, strings.Repeat("é", 300<<10))
	if fault.KindOf(err) != fault.Invalid || len(err.Error()) > 10<<10 || !strings.HasSuffix(err.Error(), "bytes more)") {
		t.Errorf("a long error: %.200v", err)
	}
	_, err = ask(t, ctx, c, "much")
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "more than a message holds") {
		t.Errorf("a long answer: %.200v", err)
	}
}
