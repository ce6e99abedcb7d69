package exchange

import (
	"slices"
	"sync"
	"time"
)

// line is where peers wait to be served: a few at a time, first come, first served, a piece a
// turn. Who takes nothing for a while loses the turn to the next.
type line[P comparable] struct {
	slots    int
	patience time.Duration

	mu      sync.Mutex
	serving map[P]time.Time // when it last took something
	waiting []P
}

func newLine[P comparable](slots int, patience time.Duration) *line[P] {
	return &line[P]{slots: slots, patience: patience, serving: map[P]time.Time{}}
}

// join puts a peer at the end of the line, unless it stands there or is served. It returns those
// whose turn has come.
func (l *line[P]) join(p P, now time.Time) []P {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.serving[p]; !ok && !slices.Contains(l.waiting, p) {
		l.waiting = append(l.waiting, p)
	}
	return l.next(now)
}

// leave ends a peer's turn, or its waiting. It returns those whose turn has come.
func (l *line[P]) leave(p P, now time.Time) []P {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.serving, p)
	if i := slices.Index(l.waiting, p); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	}
	return l.next(now)
}

// serves tells whether it is a peer's turn.
func (l *line[P]) serves(p P) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.serving[p]
	return ok
}

// took notes that a peer took something, and tells whether it still is its turn.
func (l *line[P]) took(p P, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.serving[p]; !ok {
		return false
	}
	l.serving[p] = now
	return true
}

// sweep ends the turns of those who take nothing. It returns those whose turn has come.
func (l *line[P]) sweep(now time.Time) []P {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p, last := range l.serving {
		if now.Sub(last) >= l.patience {
			delete(l.serving, p)
		}
	}
	return l.next(now)
}

// next gives free slots to those who wait.
func (l *line[P]) next(now time.Time) []P {
	n := min(l.slots-len(l.serving), len(l.waiting))
	if n <= 0 {
		return nil
	}
	begin := slices.Clone(l.waiting[:n])
	l.waiting = slices.Delete(l.waiting, 0, n)
	for _, p := range begin {
		l.serving[p] = now
	}
	return begin
}
