package backup

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/luna-hpc/luna/pkg/outbox"
)

// TestWhatArrivedIsNotSentAgain tells what a restored outbox must still send,
// when streams were copied after it.
func TestWhatArrivedIsNotSentAgain(t *testing.T) {
	at := time.Now()
	const s = "luna.evt.image-packer.release.O1"
	sent := func(id string, after time.Duration) message {
		return message{subject: s, time: at.Add(after), header: nats.Header{nats.MsgIdHdr: {id}}}
	}
	for _, c := range []struct {
		what   string
		stream []message
		done   int
	}{
		{"nothing came", nil, 0},
		{"an older one came", []message{sent("old", -time.Second)}, 0},
		{"the first came just before the copy", []message{sent("old", -time.Hour), sent("A", -time.Millisecond)}, 1},
		{"the first came after the copy", []message{sent("A", time.Second)}, 1},
		{"both came", []message{sent("A", time.Second), sent("B", time.Second)}, 2},
		{"both and a later one came, which alone is kept", []message{sent("later", time.Second)}, 2},
		{"another head's came before the first", []message{sent("other", time.Second), sent("A", 2*time.Second)}, 1},
	} {
		box := &copied{time: at, entries: map[string][]outbox.Entry{s: {{ID: "A", Subject: s}, {ID: "B", Subject: s}}}, done: map[string]int{}}
		for _, m := range c.stream {
			box.note(m)
		}
		box.note(message{subject: "luna.evt.image-packer.release.O2", time: at.Add(time.Hour)})
		if box.done[s] != c.done {
			t.Errorf("%s: %d are done, not %d", c.what, box.done[s], c.done)
		}
	}
}
