package upkeep_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
	"github.com/luna-hpc/luna/services/inventory/internal/upkeep"
)

// house is a state of the inventory and its upkeep at a time of the test's choice.
type house struct {
	*testing.T
	conn  *bus.Conn
	state *projection.State
	tidy  *upkeep.Upkeep
	now   time.Time
}

func newHouse(t *testing.T) *house {
	h := &house{T: t, conn: natstest.Start(t).Connect(t, "inventory"), now: time.Now()}
	h.state = h.follow("state.db")
	h.tidy = upkeep.New(h.conn, h.state, quiet(), func() time.Time { return h.now })
	return h
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func (h *house) follow(name string) *projection.State {
	h.Helper()
	s, err := projection.Open(filepath.Join(h.TempDir(), name), h.conn, quiet(), change.Fold())
	if err != nil {
		h.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	h.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			h.Error(err)
		}
	})
	return s
}

func (h *house) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	h.Cleanup(cancel)
	return ctx
}

func (h *house) publish(s, text string) uint64 {
	h.Helper()
	ack, err := h.conn.JS.Publish(h.ctx(), s, []byte(text))
	if err != nil {
		h.Fatal(err)
	}
	return ack.Sequence
}

func (h *house) round() {
	h.Helper()
	if err := h.tidy.Tidy(h.ctx()); err != nil {
		h.Fatal(err)
	}
}

// subjects lists what a stream holds.
func (h *house) subjects(stream, filter string) []string {
	h.Helper()
	s, err := h.conn.JS.Stream(h.ctx(), stream)
	if err != nil {
		h.Fatal(err)
	}
	info, err := s.Info(h.ctx(), jetstream.WithSubjectFilter(filter))
	if err != nil {
		h.Fatal(err)
	}
	var all []string
	for name := range info.State.Subjects {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func (h *house) records(s *projection.State) (ids []string) {
	h.Helper()
	err := s.View(func(tx *projection.Tx) error {
		for n := range change.Kept + 20 {
			id := fmt.Sprintf("C%05d", n)
			c, err := change.Record(tx, id)
			if err != nil {
				return err
			}
			if c != nil {
				ids = append(ids, id)
			}
		}
		return nil
	})
	if err != nil {
		h.Fatal(err)
	}
	return ids
}

func TestOldChangeRecordsGo(t *testing.T) {
	h := newHouse(t)
	msgs := make([]*nats.Msg, change.Kept+15)
	for i := range msgs {
		msgs[i] = &nats.Msg{Subject: subject.Change(fmt.Sprintf("C%05d", i)), Data: []byte(`{"author":"a"}`)}
	}
	last, err := bus.PublishBatch(h.ctx(), h.conn, msgs, 0)
	if err != nil {
		t.Fatal(err)
	}
	h.round()
	if n := len(h.subjects(subject.Inventory, ">")); n != change.Kept {
		t.Errorf("the stream has %d records", n)
	}
	if err := h.state.WaitFor(h.ctx(), subject.Inventory, last); err != nil {
		t.Fatal(err)
	}
	kept := h.records(h.state)
	if len(kept) != change.Kept || kept[0] != "C00015" {
		t.Errorf("the state has %d records, the first is %s", len(kept), kept[0])
	}
	fresh := h.follow("fresh.db")
	if err := fresh.WaitFor(h.ctx(), subject.Inventory, last); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(kept, h.records(fresh)) {
		t.Error("a fresh state has other records")
	}
}

func TestOldDeletionsGo(t *testing.T) {
	h := newHouse(t)
	h.publish(subject.Object("node", "GONE"), "{}")
	h.publish(subject.Object("node", "GONE"), "")
	h.publish(subject.Object("node", "BACK"), "")
	h.publish(subject.Object("node", "BACK"), "{}")
	h.publish(subject.Object("node", "HERE"), "{}")
	for _, node := range []string{"GONE", "GONE", "HERE"} {
		h.publish(subject.HardwareOf(node), "{}")
	}
	hardware := []string{subject.HardwareOf("GONE"), subject.HardwareOf("HERE")}
	all := []string{subject.Object("node", "BACK"), subject.Object("node", "GONE"), subject.Object("node", "HERE")}
	for _, c := range []struct {
		after          time.Duration
		want, hardware []string
	}{{0, all, hardware}, {89 * 24 * time.Hour, all, hardware}, {91 * 24 * time.Hour, []string{all[0], all[2]}, hardware[1:]}} {
		h.now = time.Now().Add(c.after)
		h.round()
		if got := h.subjects(subject.Inventory, ">"); !slices.Equal(got, c.want) {
			t.Errorf("after %s: %q", c.after, got)
		}
		if got := h.subjects(subject.Hardware, ">"); !slices.Equal(got, c.hardware) {
			t.Errorf("after %s the hardware of %q is kept", c.after, got)
		}
	}
}

// TestDeletionsGoWithItsOwnRights tidies up with no more rights than the inventory has on a head.
func TestDeletionsGoWithItsOwnRights(t *testing.T) {
	srv := natstest.StartDeployed(t)
	h := &house{T: t, conn: srv.Connect(t, "inventory"), now: time.Now().Add(91 * 24 * time.Hour)}
	h.state = h.follow("state.db")
	h.tidy = upkeep.New(h.conn, h.state, quiet(), func() time.Time { return h.now })
	node := &house{T: t, conn: srv.Connect(t, "bootscript")}
	node.publish(subject.HardwareOf("GONE"), "{}")
	h.publish(subject.Object("node", "GONE"), "{}")
	h.publish(subject.Object("node", "GONE"), "")
	h.round()
	for _, stream := range []string{subject.Inventory, subject.Hardware} {
		if got := h.subjects(stream, ">"); len(got) != 0 {
			t.Errorf("%s keeps %q", stream, got)
		}
	}
}

func TestSecretsThatNothingNamesGo(t *testing.T) {
	h := newHouse(t)
	unnamed := change.NewID()
	var named []string
	for object, field := range map[string]string{"cluster": "token_key_id", "bmcsetup": "password_id", "switch": "read_id"} {
		id := change.NewID()
		h.publish(subject.Object(object, "X"+object), `{"id":"X`+object+`","`+field+`":"`+id+`"}`)
		named = append(named, subject.Secret(id))
	}
	all := append(slices.Clone(named), subject.Secret(unnamed))
	for _, s := range all {
		h.publish(s, "sealed")
	}
	slices.Sort(named)
	slices.Sort(all)
	h.round()
	if got := h.subjects(subject.Secrets, ">"); !slices.Equal(got, all) {
		t.Errorf("at once: %q", got)
	}
	h.now = h.now.Add(25 * time.Hour)
	h.round()
	s, err := h.conn.JS.Stream(h.ctx(), subject.Secrets)
	if err != nil {
		t.Fatal(err)
	}
	if msg, err := s.GetLastMsgForSubject(h.ctx(), subject.Secret(unnamed)); err != nil || len(msg.Data) != 0 {
		t.Errorf("followers are not told: %v, %v", msg, err)
	}
	h.round()
	if got := h.subjects(subject.Secrets, ">"); !slices.Equal(got, named) {
		t.Errorf("after two rounds: %q", got)
	}
}

// TestClockThatJumpsTakesNoSecret has the clock jump between the publishing of
// a secret and the change that names it.
func TestClockThatJumpsTakesNoSecret(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour, 24 * time.Hour, -24 * time.Hour, 26 * time.Hour} {
		h := newHouse(t)
		was := h.now
		id := change.NewID()
		h.publish(subject.Secret(id), "sealed")
		h.now = was.Add(jump)
		h.round()
		h.now = was
		h.publish(subject.Object("cluster", "C"), `{"id":"C","token_key_id":"`+id+`"}`)
		for _, at := range []time.Time{was, was.Add(jump), was, was.Add(jump), was.Add(jump)} {
			h.now = at
			h.round()
		}
		s, err := h.conn.JS.Stream(h.ctx(), subject.Secrets)
		if err != nil {
			t.Fatal(err)
		}
		if msg, err := s.GetLastMsgForSubject(h.ctx(), subject.Secret(id)); err != nil || string(msg.Data) != "sealed" {
			t.Errorf("a jump of %s takes the secret: %v, %v", jump, msg, err)
		}
	}
}
