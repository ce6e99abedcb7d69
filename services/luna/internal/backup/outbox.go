package backup

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/subject"
	outboxv1 "github.com/luna-hpc/luna/proto/outbox/v1"
)

// Services have outboxes.
var Services = []string{"dhcp", "bootscript", "image-packer"}

// asks is how often a service is asked: with several heads on a bus, any of them may answer.
const asks = 64

// copied is the copy of one outbox.
type copied struct {
	service string
	time    time.Time
	// entries by subject, the oldest first.
	entries map[string][]outbox.Entry
	// done counts the entries by subject that the copies of the streams hold.
	done map[string]int
}

func outboxPart(service string) string { return "data/" + service + "/outbox.db" }

// copyOutboxes fetches the outboxes of all services that are not left out.
func (b *Backup) copyOutboxes(ctx context.Context, dir string) ([]*copied, error) {
	var all []*copied
	var missing []string
	for _, service := range Services {
		if slices.Contains(b.Without, service) {
			continue
		}
		c, err := b.copyOutbox(ctx, dir, service)
		if err != nil {
			missing = append(missing, fmt.Sprintf("the outbox of %s: %v", service, err))
			continue
		}
		all = append(all, c)
	}
	if len(missing) > 0 {
		return nil, fault.Unavailablef("no backup without what services must still tell the bus; start them, or leave them out with --without SERVICE: %s", strings.Join(missing, "; "))
	}
	return all, nil
}

func (b *Backup) copyOutbox(ctx context.Context, dir, service string) (*copied, error) {
	rep, err := b.askForCopy(ctx, service)
	if err != nil {
		return nil, err
	}
	c := &copied{service: service, entries: map[string][]outbox.Entry{}, done: map[string]int{}}
	if c.time, err = time.Parse(time.RFC3339Nano, rep.Time); err != nil {
		return nil, fmt.Errorf("time of the copy: %w", err)
	}
	store, err := b.Operator.JS.ObjectStore(ctx, subject.Inputs)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, outboxPart(service))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	if err := store.GetFile(ctx, rep.Object, file); err != nil {
		return nil, fmt.Errorf("fetch object %s: %w", rep.Object, err)
	}
	return c, outbox.ReadFile(file, func(e outbox.Entry) { c.entries[e.Subject] = append(c.entries[e.Subject], e) })
}

// askForCopy asks until the service of this head answers.
func (b *Backup) askForCopy(ctx context.Context, service string) (*outboxv1.CopyReply, error) {
	var others []string
	for range asks {
		one, cancel := context.WithTimeout(ctx, b.Timeout)
		rep, err := bus.Request(one, b.Operator, subject.Command(service, outbox.CopyNoun, outbox.CopyVerb),
			&outboxv1.CopyRequest{Head: b.Head}, &outboxv1.CopyReply{})
		cancel()
		if err != nil || rep.Object != "" {
			return rep, err
		}
		if !slices.Contains(others, rep.Head) {
			others = append(others, rep.Head)
		}
	}
	return nil, fault.NotFoundf("it answers on %s and not on this head, %s; say --head NAME if that is this head's name in Luna", strings.Join(others, ", "), b.Head)
}

// note sees a message of a stream's copy: entries of the outbox up to it were
// published before the copy was made. A restored outbox must not publish them
// again, over what came later.
func (c *copied) note(m message) {
	waiting := c.entries[m.subject]
	id := m.header.Get(nats.MsgIdHdr)
	for i, e := range waiting {
		if e.ID == id {
			c.done[m.subject] = i + 1
			return
		}
	}
	if len(waiting) > 0 && m.time.After(c.time) {
		c.done[m.subject] = len(waiting)
	}
}

// prune takes out of the copy what the streams' copies hold, and returns what is left.
func (c *copied) prune(dir string) ([]outbox.Entry, error) {
	gone := map[string]bool{}
	for s, n := range c.done {
		for _, e := range c.entries[s][:n] {
			gone[e.ID] = true
		}
	}
	file := filepath.Join(dir, outboxPart(c.service))
	if err := outbox.Prune(file, func(e outbox.Entry) bool { return gone[e.ID] }); err != nil {
		return nil, fmt.Errorf("outbox of %s: %w", c.service, err)
	}
	var kept []outbox.Entry
	err := outbox.ReadFile(file, func(e outbox.Entry) { kept = append(kept, e) })
	return kept, err
}
