package release_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/release"
)

// slowly is a writer that ends what it is written for, and takes its time.
type slowly struct {
	end           func()
	begun, inside atomic.Int32
}

func (s *slowly) Write(p []byte) (int, error) {
	s.begun.Add(1)
	s.inside.Add(1)
	defer s.inside.Add(-1)
	s.end()
	time.Sleep(50 * time.Millisecond)
	return len(p), nil
}

// TestBrokenExtractLeavesItsWriter ends an Extract amid a write: nothing is written once it has returned.
func TestBrokenExtractLeavesItsWriter(t *testing.T) {
	tr, payload, wanted := tree{t, t.TempDir()}, t.TempDir(), map[string]bool{}
	for i := range 40 {
		name := fmt.Sprintf("f%02d", i)
		tr.file(name, noise(uint64(i), 256<<10))
		wanted[name] = true
	}
	m := pack(t, release.Options{Tree: tr.root, PayloadDir: payload})
	ctx, cancel := context.WithCancel(t.Context())
	w := &slowly{end: cancel}
	if err := release.Extract(ctx, payload, m, &release.Manifest{}, wanted, w); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	begun, inside := w.begun.Load(), w.inside.Load()
	time.Sleep(200 * time.Millisecond)
	if now := w.begun.Load(); inside != 0 || now != begun {
		t.Errorf("%d writes had not ended, %d began later", inside, now-begun)
	}
}
