// Package ledger judges the raw messages of the inventory's stream. It shares
// no code with those who write and fold them, so it does not share their faults.
package ledger

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/luna-hpc/luna/pkg/subject"
)

// Message is one message of the stream.
type Message struct {
	Sequence uint64
	Subject  string
	Header   nats.Header
	Body     []byte
}

// Read returns all messages of the stream INVENTORY up to the last that it has now.
func Read(ctx context.Context, js jetstream.JetStream) ([]Message, error) {
	stream, err := js.Stream(ctx, subject.Inventory)
	if err != nil {
		return nil, fmt.Errorf("read the stream: %w", err)
	}
	last := stream.CachedInfo().State.LastSeq
	consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, FilterSubject: ">"})
	if err != nil {
		return nil, fmt.Errorf("read the stream: %w", err)
	}
	it, err := consumer.Messages()
	if err != nil {
		return nil, fmt.Errorf("read the stream: %w", err)
	}
	defer it.Stop()
	var all []Message
	for len(all) == 0 || all[len(all)-1].Sequence < last {
		msg, err := it.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, fmt.Errorf("read the stream after %d of %d messages: %w", len(all), last, err)
		}
		md, err := msg.Metadata()
		if err != nil {
			return nil, fmt.Errorf("message without metadata: %w", err)
		}
		all = append(all, Message{Sequence: md.Sequence.Stream, Subject: msg.Subject(), Header: msg.Headers(), Body: msg.Data()})
	}
	return all, nil
}

// Object is what a client was told of a node or a group.
type Object struct {
	Noun, Name string
	// Addresses are those of a node.
	Addresses []string
}

// Answer is what a client was told of a command.
type Answer struct {
	CommandID string
	// Done says that the command was answered with success; else it was refused
	// or answered "not done", to every time that it was sent.
	Done bool
	// Objects are the nodes and groups of the reply; of Deleted, which it took away, only noun and name are known.
	Objects []Object
	Deleted []Object
}

// Rule is something that must hold.
type Rule string

// The rules.
const (
	// NoGap wants every sequence from 1 on.
	NoGap Rule = "no message is missing"
	// Whole wants all of a batch, in order, and nothing outside a batch.
	Whole Rule = "every batch is whole"
	// Fenced wants that a batch was decided on all that is before it.
	Fenced Rule = "every batch expects the sequence before it"
	// Recorded wants one change record at the end of a batch, which names its messages.
	Recorded Rule = "every batch ends with its record"
	// OneRecord wants at most one record of a command.
	OneRecord Rule = "no command has two records"
	// Readable wants JSON whose ids are those of the subjects.
	Readable Rule = "every message is an object of its subject"
	// OneHolder wants that no address of a network is held twice.
	OneHolder Rule = "no address is held twice"
	// FreeToHold wants that no node holds an address of the head, of the DHCP
	// range, or one that rests, is reserved or is a gateway's or server's: in the
	// streams that are judged nobody makes a node a gateway or a server.
	FreeToHold Rule = "no node holds an address that is not for nodes"
	// OneName wants that no name belongs to two objects of a kind.
	OneName Rule = "no name belongs to two"
	// Referred wants that what an object refers to is there.
	Referred Rule = "what an object refers to is there"
	// Complete wants that nodes have one address in every network of their group's
	// interfaces, and no others.
	Complete Rule = "a node has an address in every network of its group"
	// OneMAC wants that no MAC belongs to two nodes.
	OneMAC Rule = "no MAC belongs to two nodes"
	// Kept wants the record of every command that was answered with success.
	Kept Rule = "what was answered with success is recorded"
	// Told wants that the answer had the nodes, addresses and groups of the record's batch.
	Told Rule = "the answer is what was stored"
	// Undone wants no record of a command that was answered "not done".
	Undone Rule = "what was answered \"not done\" has no record"
)

// Fault is a rule that does not hold at a message; answers have no sequence.
type Fault struct {
	Rule     Rule
	Sequence uint64
	Text     string
}

// Error returns the fault as a sentence.
func (f Fault) Error() string {
	return fmt.Sprintf("message %d: %s: %s", f.Sequence, f.Rule, f.Text)
}

// Check returns every fault of the messages, which must be all of a stream
// that has lost none to its limits, and of what clients were told.
func Check(messages []Message, answers []Answer) []Fault {
	b := newBook()
	for _, batch := range b.split(messages) {
		b.post(batch)
	}
	for _, a := range answers {
		b.compare(a)
	}
	return b.faults
}
