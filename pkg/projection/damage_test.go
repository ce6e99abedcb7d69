package projection_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/testenv"
)

// files are those of a state now, of the same state before, and of another service.
type files struct{ now, before, stranger []byte }

func (f files) clone() files {
	return files{slices.Clone(f.now), slices.Clone(f.before), slices.Clone(f.stranger)}
}

const pageSize = 4096

// damages are what can become of a state file between two lives of a service.
var damages = map[string]func(*rand.Rand, files) []byte{
	"kept":          func(_ *rand.Rand, f files) []byte { return f.now },
	"deleted":       func(*rand.Rand, files) []byte { return nil },
	"emptied":       func(*rand.Rand, files) []byte { return []byte{} },
	"cut at half":   func(_ *rand.Rand, f files) []byte { return f.now[:len(f.now)/2] },
	"of a stranger": func(_ *rand.Rand, f files) []byte { return f.stranger },
	"of before":     func(_ *rand.Rand, f files) []byte { return f.before },
	"page": func(rnd *rand.Rand, f files) []byte {
		at := rnd.IntN(len(f.now)/pageSize) * pageSize
		return fill(rnd, f.now, at, at+pageSize)
	},
	"300 bytes": func(rnd *rand.Rand, f files) []byte {
		at := rnd.IntN(len(f.now) - 300)
		return fill(rnd, f.now, at, at+300)
	},
	"bit": func(rnd *rand.Rand, f files) []byte {
		f.now[rnd.IntN(len(f.now))] ^= 1 << rnd.IntN(8)
		return f.now
	},
	// A disk that lost a write brings back what a page held before.
	"stale page": func(rnd *rand.Rand, f files) []byte {
		at := rnd.IntN(min(len(f.now), len(f.before))/pageSize) * pageSize
		copy(f.now[at:at+pageSize], f.before[at:])
		return f.now
	},
	"zeros": func(_ *rand.Rand, f files) []byte {
		clear(f.now[2*pageSize:])
		return f.now
	},
}

func fill(rnd *rand.Rand, b []byte, from, to int) []byte {
	for i := range b[from:to] {
		b[from+i] = byte(rnd.Uint32())
	}
	return b
}

// TestDamagedFilesEndAtTheAnswersOfAFreshOne kills a state, damages its file
// and lets it follow again: with the bus there and without it.
func TestDamagedFilesEndAtTheAnswersOfAFreshOne(t *testing.T) {
	t.Parallel()
	rnd, rounds := testenv.Rand(t), testenv.Times(t, 3)
	srv := natstest.Start(t)
	c := srv.Connect(t, "test")
	dir := t.TempDir()
	first := start(t, c, filepath.Join(dir, "first.db"), copyFold(1))
	msgs := make([]*nats.Msg, 2000)
	var before []byte
	for round := range 3 {
		for i := range msgs {
			msgs[i] = &nats.Msg{Subject: subject.Object("node", strconv.Itoa(i)), Data: fmt.Appendf(nil, "version %d of node %d, %x", round, i, rnd.Uint64())}
		}
		seq, err := bus.PublishBatch(ctx(t), c, msgs, uint64(round*len(msgs)))
		if err != nil {
			t.Fatal(err)
		}
		first.contents(t, seq)
		if round == 1 {
			first.stop()
			before = read(t, filepath.Join(dir, "first.db"))
			first = start(t, c, filepath.Join(dir, "first.db"), copyFold(1))
		}
	}
	seq := publish(t, c, "7", "")
	want := first.contents(t, seq)
	first.stop()
	other := start(t, c, filepath.Join(dir, "other.db"), projection.Fold{Stream: subject.Images, Version: 3, Buckets: []string{"strange"},
		Apply: func(*projection.Tx, projection.Event) error { return nil }})
	if err := other.WaitFor(ctx(t), subject.Images, 0); err != nil {
		t.Fatal(err)
	}
	other.stop()
	whole := files{read(t, filepath.Join(dir, "first.db")), before, read(t, filepath.Join(dir, "other.db"))}
	path := filepath.Join(dir, "state.db")
	for round := range rounds {
		for name, damage := range damages {
			put(t, path, damage(rnd, whole.clone()))
			s := start(t, c, path, copyFold(1))
			if got := s.contents(t, seq); !maps.Equal(got, want) {
				t.Fatalf("round %d, %s: %d entries, want %d", round, name, len(got), len(want))
			}
			s.stop()
		}
	}
	srv.Restart(t, func() {
		for name, damage := range damages {
			put(t, path, damage(rnd, whole.clone()))
			s := start(t, c, path, copyFold(1))
			if s.Usable() != nil {
				if name == "kept" || name == "of before" {
					t.Error("a good file was not used")
				}
			} else if got := s.contents(t, 0); !maps.Equal(got, want) && name != "of before" {
				t.Errorf("%s, without the bus: %d entries, want %d", name, len(got), len(want))
			}
			s.stop()
		}
	})
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// put makes the file of a state; nil is none.
func put(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if data == nil {
		return
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestOlderFoldIsBuiltAnew lets a later version of a program take up the file of an earlier one.
func TestOlderFoldIsBuiltAnew(t *testing.T) {
	c := natstest.Start(t).Connect(t, "test")
	path := filepath.Join(t.TempDir(), "s.db")
	old := start(t, c, path, copyFold(1))
	seq := publish(t, c, "1", "a")
	old.contents(t, seq)
	old.stop()
	again := copyFold(2)
	apply := again.Apply
	again.Apply = func(tx *projection.Tx, ev projection.Event) error {
		ev.Data = append([]byte("new "), ev.Data...)
		return apply(tx, ev)
	}
	if got := start(t, c, path, again).contents(t, seq); got[subject.Object("node", "1")] != "new a" {
		t.Fatalf("got %v", got)
	}
}
