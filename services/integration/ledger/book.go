package ledger

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/luna-hpc/luna/pkg/subject"
)

// Headers of a batch.
const (
	batchID       = "Nats-Batch-Id"
	batchSequence = "Nats-Batch-Sequence"
	batchCommit   = "Nats-Batch-Commit"
	expectedLast  = "Nats-Expected-Last-Sequence"
)

// record is a change record.
type record struct {
	CommandID string `json:"command_id"`
	Touched   []struct {
		Noun, ID, Name string
		Deleted        bool
	}
}

// entry is a record with what its batch says of nodes and groups.
type entry struct{ written, deleted []Object }

// told are the nouns that answers tell of.
var told = map[string]bool{"node": true, "group": true}

// book is the inventory as the messages up to now make it.
type book struct {
	faults []Fault
	said   map[string]bool
	now    uint64 // sequence of the last message of the batch that is posted

	objects map[string]map[string]object // by noun and id
	records map[string]entry
}

func newBook() *book {
	return &book{said: map[string]bool{}, objects: map[string]map[string]object{}, records: map[string]entry{}}
}

// fault notes a fault once, however long it lasts.
func (b *book) fault(r Rule, format string, args ...any) {
	f := Fault{Rule: r, Sequence: b.now, Text: fmt.Sprintf(format, args...)}
	if key := string(r) + f.Text; !b.said[key] {
		b.said[key] = true
		b.faults = append(b.faults, f)
	}
}

// split returns the batches in the order of the stream.
func (b *book) split(messages []Message) [][]Message {
	var batches [][]Message
	var open []Message
	seen := map[string]bool{}
	next := uint64(1)
	end := func() {
		if len(open) > 0 {
			batches = append(batches, open)
		}
		open = nil
	}
	for _, m := range messages {
		b.now = m.Sequence
		if m.Sequence != next {
			b.fault(NoGap, "expected message %d", next)
		}
		next = m.Sequence + 1
		id := m.Header.Get(batchID)
		if len(open) > 0 && open[0].Header.Get(batchID) != id {
			b.fault(Whole, "batch %s has no end", open[0].Header.Get(batchID))
			end()
		}
		if len(open) == 0 && id == "" {
			b.fault(Whole, "%s is in no batch", m.Subject)
		} else if len(open) == 0 && seen[id] {
			b.fault(Whole, "batch %s comes again", id)
		}
		seen[id] = true
		open = append(open, m)
		if want := strconv.Itoa(len(open)); id != "" && m.Header.Get(batchSequence) != want {
			b.fault(Whole, "message %q of batch %s stands in place %s", m.Header.Get(batchSequence), id, want)
		}
		if id == "" || m.Header.Get(batchCommit) != "" {
			end()
		}
	}
	if len(open) > 0 {
		b.fault(Whole, "batch %s has no end", open[0].Header.Get(batchID))
		end()
	}
	return batches
}

// post enters one batch and looks at everything then.
func (b *book) post(batch []Message) {
	first, last := batch[0], batch[len(batch)-1]
	b.now = last.Sequence
	if want := strconv.FormatUint(first.Sequence-1, 10); first.Header.Get(expectedLast) != want {
		b.fault(Fenced, "the batch at %d expects %q", first.Sequence, first.Header.Get(expectedLast))
	}
	var e entry
	for _, m := range batch {
		b.enter(m, &e)
	}
	b.enterRecord(batch, e)
	b.checkNames()
	b.checkAddresses()
	b.checkReferences()
}

// enter puts an object in its place.
func (b *book) enter(m Message, e *entry) {
	noun, id, ok := parse(m.Subject)
	if !ok {
		b.fault(Readable, "subject %s is none of an object", m.Subject)
		return
	}
	if noun == "change" {
		return
	}
	if b.objects[noun] == nil {
		b.objects[noun] = map[string]object{}
	}
	if len(m.Body) == 0 {
		if old, ok := b.objects[noun][id]; ok && told[noun] {
			e.deleted = append(e.deleted, Object{Noun: noun, Name: old.Name})
		}
		delete(b.objects[noun], id)
		return
	}
	var o object
	if err := json.Unmarshal(m.Body, &o); err != nil {
		b.fault(Readable, "%s: %v", m.Subject, err)
		return
	}
	if noun != "rest" && o.ID != id {
		b.fault(Readable, "%s has id %q", m.Subject, o.ID)
	}
	if b.objects[noun][id] = o; told[noun] {
		e.written = append(e.written, o.told(noun))
	}
}

// parse splits the subject of an object.
func parse(s string) (noun, id string, ok bool) {
	rest, ok := strings.CutPrefix(s, strings.TrimSuffix(subject.AllInventory, ">"))
	noun, id, dot := strings.Cut(rest, ".")
	return noun, id, ok && dot && noun != "" && id != ""
}

// enterRecord compares a batch with its record.
func (b *book) enterRecord(batch []Message, e entry) {
	last := batch[len(batch)-1]
	noun, id, _ := parse(last.Subject)
	for _, m := range batch[:len(batch)-1] {
		if n, _, _ := parse(m.Subject); n == "change" {
			b.fault(Recorded, "record %s is not at the end of its batch", m.Subject)
		}
	}
	if noun != "change" {
		b.fault(Recorded, "the batch ends with %s", last.Subject)
		return
	}
	var r record
	if err := json.Unmarshal(last.Body, &r); err != nil {
		b.fault(Readable, "%s: %v", last.Subject, err)
	}
	if r.CommandID != id {
		b.fault(Readable, "%s is the record of command %q", last.Subject, r.CommandID)
	}
	var told, stored []string
	for _, t := range r.Touched {
		told = append(told, sign(t.Deleted)+subject.Object(t.Noun, t.ID))
	}
	for _, m := range batch[:len(batch)-1] {
		stored = append(stored, sign(len(m.Body) == 0)+m.Subject)
	}
	if !slices.Equal(told, stored) {
		b.fault(Recorded, "the record of %s names %q, its batch has %q", id, told, stored)
	}
	if len(slices.Compact(slices.Sorted(slices.Values(stored)))) != len(stored) {
		b.fault(Recorded, "the batch of %s has a subject twice: %q", id, stored)
	}
	if _, twice := b.records[id]; twice {
		b.fault(OneRecord, "command %s", id)
	}
	b.records[id] = e
}

func sign(deleted bool) string {
	if deleted {
		return "-"
	}
	return "+"
}

// compare compares what a client was told with the records.
func (b *book) compare(a Answer) {
	b.now = 0
	e, ok := b.records[a.CommandID]
	switch {
	case ok && !a.Done:
		b.fault(Undone, "command %s", a.CommandID)
	case !a.Done:
	case !ok:
		b.fault(Kept, "command %s", a.CommandID)
	default:
		told, was := lines(a.Objects, a.Deleted), lines(e.written, e.deleted)
		if !slices.Equal(told, was) {
			b.fault(Told, "command %s was answered with %q, stored is %q", a.CommandID, told, was)
		}
	}
}

// lines writes objects so that they can be compared in any order.
func lines(written, deleted []Object) []string {
	var all []string
	for _, o := range written {
		all = append(all, fmt.Sprintf("%s %s %v", o.Noun, o.Name, slices.Sorted(slices.Values(o.Addresses))))
	}
	for _, o := range deleted {
		all = append(all, "-"+o.Noun+" "+o.Name)
	}
	slices.Sort(all)
	return all
}

// ids returns the ids of a noun's objects in order, so that faults read the same each time.
func (b *book) ids(noun string) []string { return slices.Sorted(maps.Keys(b.objects[noun])) }
