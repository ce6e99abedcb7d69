// Package console writes to all of the machine's consoles at once, so that
// whoever looks at any of them sees what the agent does.
package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Set is the machine's consoles.
type Set struct {
	mu    sync.Mutex
	sinks []*sink
	names []string
}

// Open opens every console of the kernel, the first virtual terminal, and
// extra where it is a terminal. Root is "/" but for tests. A console that has
// no device behind it is left out.
func Open(root string, extra ...string) *Set {
	set := &Set{}
	for _, name := range append(Active(root), extra...) {
		if name == "" || slices.Contains(set.names, name) {
			continue
		}
		open := func() (io.WriteCloser, error) {
			return os.OpenFile(filepath.Join(root, "dev", name), os.O_WRONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
		}
		f, err := open()
		if err != nil {
			continue
		}
		set.names = append(set.names, name)
		set.sinks = append(set.sinks, newSink(f, open))
	}
	return set
}

// Active returns the kernel's consoles, as in ttyS0 and tty1. The current
// virtual terminal stands as tty1, which is there also when it is no console.
func Active(root string) []string {
	data, err := os.ReadFile(filepath.Join(root, "sys/class/tty/console/active"))
	names := strings.Fields(string(data))
	if err != nil {
		names = nil
	}
	if i := slices.Index(names, "tty0"); i >= 0 {
		names[i] = "tty1"
	} else {
		names = append(names, "tty1")
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool {
		_, err := os.Stat(filepath.Join(root, "dev", name))
		return err != nil
	})
}

// Names returns the consoles that are open.
func (s *Set) Names() []string { return slices.Clone(s.names) }

// Write passes p to every console. It never waits: a console that cannot keep
// up loses text.
func (s *Set) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sink := range s.sinks {
		sink.put(p)
	}
	return len(p), nil
}

// Close writes out what is waiting, until ctx ends, and closes the consoles.
func (s *Set) Close(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for i, sink := range s.sinks {
		if err := sink.close(ctx); err != nil {
			errs = append(errs, fmt.Errorf("console %s: %w", s.names[i], err))
		}
	}
	s.sinks, s.names = nil, nil
	return errors.Join(errs...)
}

// depth is how many writes may wait at one console.
const depth = 512

// sink is one console with a writer of its own.
type sink struct {
	open  func() (io.WriteCloser, error)
	queue chan []byte
	done  chan struct{}
	lost  bool

	mu     sync.Mutex
	to     io.WriteCloser
	closed bool
}

func newSink(to io.WriteCloser, open func() (io.WriteCloser, error)) *sink {
	s := &sink{to: to, open: open, queue: make(chan []byte, depth), done: make(chan struct{})}
	go s.run()
	return s
}

// run writes what is queued. A console that fails has nobody to be told on; the
// others go on.
func (s *sink) run() {
	defer close(s.done)
	for p := range s.queue {
		to := s.current()
		if _, err := to.Write(p); err == nil {
			continue
		}
		// The end of a shell hangs its terminal up for all who have it open.
		if to = s.reopen(); to != nil {
			_, _ = to.Write(p)
		}
	}
}

func (s *sink) current() io.WriteCloser {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.to
}

// reopen opens the console anew; it returns nil when that fails or the sink is closed.
func (s *sink) reopen() io.WriteCloser {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	to, err := s.open()
	if err != nil {
		return nil
	}
	_ = s.to.Close()
	s.to = to
	return to
}

// put queues p. The place before the last is kept for the note that text is lost.
func (s *sink) put(p []byte) {
	switch {
	case len(s.queue) < depth-1:
		s.lost = false
		s.queue <- slices.Clone(p)
	case !s.lost:
		s.lost = true
		s.queue <- []byte("luna: this console is too slow, some text is lost\n")
	}
}

func (s *sink) close(ctx context.Context) error {
	close(s.queue)
	select {
	case <-s.done:
		return s.shut()
	case <-ctx.Done():
	}
	// Closing ends a write that hangs.
	err := s.shut()
	<-s.done
	return errors.Join(ctx.Err(), err)
}

func (s *sink) shut() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.to.Close()
}
