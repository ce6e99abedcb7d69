package projection

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sync/errgroup"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/run"
)

// State is the fold of one or more streams in one file.
type State struct {
	path  string
	conn  *bus.Conn
	log   *slog.Logger
	folds []Fold

	file sync.RWMutex // guards db against being replaced while it is read
	db   *bolt.DB

	mu      sync.Mutex
	builds  uint64 // how often a fold was taken from a file or built anew
	streams map[string]*progress
	changed chan struct{}
	broken  chan struct{} // closed when the file was found damaged
}

type progress struct {
	age run.Age
	// usable is set once the buckets hold a whole state, kept or rebuilt.
	usable bool
	// trail is what was folded lately.
	trail trail
	// halted says why nothing more can be folded until somebody does something.
	halted error
}

// Open opens or makes the file of a state. A file that cannot be used is put
// aside as .bad and an empty one takes its place.
func Open(path string, conn *bus.Conn, log *slog.Logger, folds ...Fold) (*State, error) {
	s := &State{path: path, conn: conn, log: log, folds: folds, streams: map[string]*progress{},
		changed: make(chan struct{}), broken: make(chan struct{})}
	if err := s.openFile(); err != nil {
		return nil, err
	}
	return s, nil
}

// openFile opens the file or replaces it; it holds no lock.
func (s *State) openFile() error {
	var db *bolt.DB
	st, err := os.Stat(s.path)
	made := err == nil && st.Size() > 0
	err = inspect(s.path, s.folds)
	if err == nil {
		db, err = openBolt(s.path)
	}
	if err == nil {
		err = s.adopt(db)
	}
	if err == nil {
		return nil
	}
	if db != nil {
		closeQuietly(db)
	}
	if errors.Is(err, bolterrors.ErrTimeout) {
		return fmt.Errorf("state %s is in use by another process: %w", s.path, err)
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) { // says nothing of the file
		if !made {
			_ = os.Remove(s.path) // what was begun, if anything
		}
		return fmt.Errorf("state %s cannot be written; make room on its disk: %w", s.path, err)
	}
	s.log.Warn("state file is put aside and built anew", "file", s.path, "err", err)
	if err := os.Rename(s.path, s.path+".bad"); err != nil {
		return fmt.Errorf("put damaged state aside: %w", err)
	}
	if db, err = openBolt(s.path); err != nil {
		return fmt.Errorf("open new state %s: %w", s.path, err)
	}
	return s.adopt(db)
}

// mapped is how much of the address space a file gets at once, in bytes: whenever it
// outgrows that, a transaction must copy all that it has changed and wait for readers.
const mapped = 256 << 20

func openBolt(path string) (db *bolt.DB, err error) {
	err = guard(func() error {
		// A list of free pages in the file could be damaged, and pages in use be written over.
		db, err = bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, FreelistType: bolt.FreelistMapType, NoFreelistSync: true, InitialMmapSize: mapped})
		return err
	})
	return db, err
}

// adopt makes missing buckets, forgets folds of other versions and takes db as the file.
func (s *State) adopt(db *bolt.DB) error {
	kept := map[string]*cursor{}
	err := guard(func() error {
		return db.Update(func(btx *bolt.Tx) error {
			if _, err := btx.CreateBucketIfNotExists([]byte(cursorBucket)); err != nil {
				return err
			}
			for _, f := range s.folds {
				c, err := s.adoptFold(btx, f)
				if err != nil {
					return err
				}
				kept[f.Stream] = c
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.db = db
	for _, f := range s.folds {
		p := &progress{age: run.Age{Stream: f.Stream}}
		if c := kept[f.Stream]; c != nil {
			p.usable, p.age.Revision, p.age.Changed = true, c.Seq, c.Time
		}
		p.trail = s.newTrail(p.age.Revision)
		s.streams[f.Stream] = p
	}
	return nil
}

// adoptFold returns the cursor of a kept fold; nil when it must be built anew.
func (s *State) adoptFold(btx *bolt.Tx, f Fold) (*cursor, error) {
	tx := &Tx{tx: btx}
	c, err := readCursor(tx, f.Stream)
	if err != nil {
		return nil, err
	}
	if c != nil && c.of(f) {
		whole := true
		for _, b := range f.Buckets {
			whole = whole && btx.Bucket([]byte(b)) != nil
		}
		if whole {
			return c, nil
		}
	}
	if err := tx.Delete(cursorBucket, f.Stream); err != nil {
		return nil, err
	}
	return nil, reset(btx, f)
}

// guard turns a panic, also that of a page that cannot be read, into ErrDamaged.
func guard(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}()
	return do()
}

func closeQuietly(db *bolt.DB) { _ = guard(db.Close) }

// Run follows all streams until ctx ends, then closes the file.
func (s *State) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := s.follow(ctx); err != nil {
			return err
		}
	}
	s.file.Lock()
	defer s.file.Unlock()
	closeQuietly(s.db)
	return nil
}

// follow runs all followers until ctx ends or the file was damaged; then it replaces the file.
func (s *State) follow(ctx context.Context) error {
	s.mu.Lock()
	broken := s.broken
	s.mu.Unlock()
	fctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var eg errgroup.Group
	for _, f := range s.folds {
		eg.Go(func() error { s.followStream(fctx, f); return nil })
	}
	select {
	case <-ctx.Done():
		cancel()
		return eg.Wait()
	case <-broken:
	}
	cancel()
	_ = eg.Wait() // followers return no error
	s.file.Lock()
	defer s.file.Unlock()
	closeQuietly(s.db)
	if err := os.Rename(s.path, s.path+".bad"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("put damaged state aside: %w", err)
	}
	if err := s.openFile(); err != nil {
		return err
	}
	s.mu.Lock()
	s.broken = make(chan struct{})
	s.mu.Unlock()
	return nil
}

// View reads the state. While a stream was never folded it is Unavailable;
// damage is found, the state is then built anew.
func (s *State) View(do func(tx *Tx) error) error {
	if err := s.Usable(); err != nil {
		return err
	}
	s.file.RLock()
	defer s.file.RUnlock()
	err := guard(func() error {
		return s.db.View(func(btx *bolt.Tx) error { return do(&Tx{tx: btx}) })
	})
	return s.checkDamage(err)
}

func (s *State) update(do func(tx *Tx, btx *bolt.Tx) error) error {
	s.file.RLock()
	defer s.file.RUnlock()
	err := guard(func() error {
		return s.db.Update(func(btx *bolt.Tx) error { return do(&Tx{tx: btx}, btx) })
	})
	return s.checkDamage(err)
}

func (s *State) checkDamage(err error) error {
	if !errors.Is(err, ErrDamaged) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.broken:
	default:
		s.log.Error("state is damaged and will be built anew", "file", s.path, "err", err)
		for _, p := range s.streams {
			p.usable = false
		}
		close(s.broken)
	}
	return fault.Unavailablef("not done: the state is being built anew")
}

// Usable says whether every stream was folded, now or in an earlier life.
func (s *State) Usable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.folds {
		if !s.streams[f.Stream].usable {
			return fault.Unavailablef("not done: stream %s was not read yet: %s", f.Stream, s.streams[f.Stream].trouble())
		}
	}
	return nil
}

func (p *progress) trouble() string {
	if p.age.Trouble == "" {
		return "waiting for the bus"
	}
	return p.age.Trouble
}

// Ready is nil while every stream can be answered from.
func (s *State) Ready() error { return s.Usable() }

// String returns "state".
func (s *State) String() string { return "state" }

// Ages tells how old the fold of each stream is.
func (s *State) Ages() []run.Age {
	s.mu.Lock()
	defer s.mu.Unlock()
	ages := make([]run.Age, 0, len(s.folds))
	for _, f := range s.folds {
		ages = append(ages, s.streams[f.Stream].age)
	}
	return ages
}

// Changed is closed at the next change of any stream's fold.
func (s *State) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Revision returns the sequence up to which a stream was folded, and whether
// the fold is following the stream just now.
func (s *State) Revision(stream string) (seq uint64, live bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.streams[stream]
	return p.age.Revision, p.age.Live
}

// WaitFor waits until a stream was folded up to seq, ctx ends, or it is known
// that this waits for an administrator; the error says what is in the way.
func (s *State) WaitFor(ctx context.Context, stream string, seq uint64) error {
	for {
		s.mu.Lock()
		p, changed := s.streams[stream], s.changed
		done, halted, trouble := p.usable && p.age.Revision >= seq, p.halted, p.age.Trouble
		s.mu.Unlock()
		if done {
			return nil
		}
		if halted != nil {
			return fmt.Errorf("wait for %s to reach %d: %w", stream, seq, halted)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if trouble != "" {
				trouble += ": "
			}
			return fmt.Errorf("wait for %s to reach %d: %s%w", stream, seq, trouble, ctx.Err())
		}
	}
}

// CatchUp waits until the state shows what every stream holds now;
// Unavailable when that does not come about within ten seconds.
func (s *State) CatchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for _, f := range s.folds {
		stream, err := s.conn.JS.Stream(ctx, f.Stream)
		if err != nil {
			return fault.Unavailablef("not done: the bus does not answer: %w", err)
		}
		if err := s.WaitFor(ctx, f.Stream, stream.CachedInfo().State.LastSeq); err != nil {
			return fault.Unavailablef("not done: the state is old: %w", err)
		}
	}
	return nil
}

// note changes a stream's progress and wakes who waits.
func (s *State) note(stream string, change func(p *progress)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s.streams[stream])
	close(s.changed)
	s.changed = make(chan struct{})
}
