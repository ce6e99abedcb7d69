package projection

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// TestOldFoldsAreBuiltAnew asks before anything is read from the stream.
func TestOldFoldsAreBuiltAnew(t *testing.T) {
	info := &jetstream.StreamInfo{State: jetstream.StreamState{FirstSeq: 1, LastSeq: 9}}
	cur := cursor{Created: info.Created, Seq: 5, Time: time.Now().Add(-away - time.Hour)}
	if why, err := foreign(t.Context(), cur, nil, info); why == "" || err != nil {
		t.Errorf("%q, %v", why, err)
	}
}
