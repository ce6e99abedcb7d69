package poll

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/luna-hpc/luna/services/switch-poller/internal/seen"
)

// Status is how asking one switch goes.
type Status struct {
	// LastGood is when the last good round began; zero when there was none.
	LastGood time.Time
	// Took is how long the last round took.
	Took time.Duration
	// MACs is how many have a port.
	MACs int
	// Err is the last round's error, or why there is none.
	Err error
}

// Book keeps the last round of each switch. Its tables are all there is until they are on the bus: it is not on disk, since a
// new round says the same.
type Book struct {
	mu       sync.Mutex
	statuses map[string]Status
	tables   map[string]seen.Table
	news     chan struct{}
}

// NewBook returns an empty book.
func NewBook() *Book {
	return &Book{statuses: map[string]Status{}, tables: map[string]seen.Table{}, news: make(chan struct{}, 1)}
}

// good notes a round that gave a table.
func (b *Book) good(t seen.Table, took time.Duration) {
	b.mu.Lock()
	b.statuses[t.SwitchID] = Status{LastGood: t.At, Took: took, MACs: len(t.MACs)}
	b.tables[t.SwitchID] = t
	b.mu.Unlock()
	select {
	case b.news <- struct{}{}:
	default:
	}
}

// bad notes a round that failed. The table before it stays; it grows old.
func (b *Book) bad(id string, err error, took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.statuses[id]
	s.Err, s.Took, s.MACs = err, took, 0
	b.statuses[id] = s
}

// forget drops a switch.
func (b *Book) forget(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.statuses, id)
	delete(b.tables, id)
}

// Status returns how asking a switch goes; ok is false before its first round has ended.
func (b *Book) Status(id string) (s Status, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, ok = b.statuses[id]
	return s, ok
}

// Tables returns the last good table of each switch.
func (b *Book) Tables() []seen.Table {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Values(b.tables))
}

// News is sent to when there is a new table.
func (b *Book) News() <-chan struct{} { return b.news }
