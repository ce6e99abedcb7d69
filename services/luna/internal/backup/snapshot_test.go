package backup

import (
	"strings"
	"testing"

	"github.com/nats-io/jsm.go/api"
	archive "github.com/nats-io/jsm.go/backup"

	"github.com/luna-hpc/luna/pkg/subject"
)

// TestACopyThatEndsInsideAChangeIsSeen has what a snapshot can catch of a
// change of several messages, the last of which is the commit.
func TestACopyThatEndsInsideAChangeIsSeen(t *testing.T) {
	const first, commit = "Nats-Batch-Id: B\r\n", "Nats-Batch-Id: B\r\nNats-Batch-Commit: 1\r\n"
	for _, c := range []struct {
		what    string
		headers []string
		last    uint64
		whole   bool
		cut     bool
	}{
		{"a change", []string{first, commit}, 2, true, false},
		{"half a change", []string{first, commit, first}, 3, true, true},
		{"a change whose commit was taken away since", []string{first}, 2, true, false},
		{"a single message", []string{"Luna-Author: me\r\n"}, 1, true, false},
		{"nothing", nil, 0, true, false},
		{"a broken copy", []string{first, commit}, 2, false, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			dir := t.TempDir()
			encode(t, dir, c.headers, c.last, c.whole)
			var seen []string
			got, err := scan(dir, subject.Inventory, func(s string) bool { return s == "s" }, func(m message) { seen = append(seen, string(m.data)) })
			if !c.whole {
				if err == nil || !strings.Contains(err.Error(), "not whole") {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || got.cut != c.cut || got.LastSeq != c.last {
				t.Errorf("cut %v, last %d, %v", got.cut, got.LastSeq, err)
			}
			if len(seen) != len(c.headers) || strings.Trim(strings.Join(seen, ""), "x") != "" {
				t.Errorf("seen: %q", seen)
			}
		})
	}
}

func encode(t *testing.T, dir string, headers []string, last uint64, whole bool) {
	t.Helper()
	f, err := createBelow(dir, snapshotPart(subject.Inventory))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(err)
	defer f.Close()
	e := archive.NewEncoder(f)
	must(e.WriteState(1, api.StreamState{FirstSeq: min(1, last), LastSeq: last, Msgs: uint64(len(headers))}))
	for i, h := range headers {
		h = "NATS/1.0\r\n" + h + "\r\n"
		must(e.WriteMessage(&archive.Message{Subject: "s", Seq: uint64(i) + 1, Ts: 1, HdrSize: int64(len(h)), PayloadSize: 1, Body: strings.NewReader(h + "x")}))
	}
	if whole {
		must(e.WriteEnd())
	}
	must(e.Close())
}
