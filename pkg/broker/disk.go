package broker

import (
	"errors"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// look is how often the server is asked whether it can still store.
	look = 2 * time.Second
	// room is how many bytes must be free before the server is started anew.
	room = 1 << 20
)

// trouble says which stream cannot be written any more: after one write that
// failed, as on a full disk, a server stores nothing in that stream until
// it is started anew.
func (b *Broker) trouble() error {
	srv := b.server()
	if !srv.Running() {
		return nil
	}
	if !srv.JetStreamEnabled() {
		return errors.New("JetStream is off")
	}
	var errs []error
	for _, e := range srv.Healthz(&server.HealthzOptions{Details: true}).Errors {
		if strings.Contains(e.Error, " write error: ") {
			errs = append(errs, errors.New(e.Error))
		}
	}
	return errors.Join(errs...)
}

// heal starts the server anew when it cannot store and its disk has room. What
// it acknowledged is on disk; of a change that it has stored in part it then
// stores the rest.
func (b *Broker) heal() {
	trouble := b.trouble()
	b.mu.Lock()
	was := b.stuck
	b.stuck = trouble
	b.mu.Unlock()
	if trouble == nil {
		return
	}
	if was == nil {
		b.log.Error("the bus cannot store; it is started anew when its disk has room", "dir", b.opt.Store, "err", trouble)
	}
	if err := tryRoom(b.opt.Store); err != nil {
		return
	}
	if err := b.again(); err != nil {
		b.log.Error("the bus could not be started anew", "err", err)
		return
	}
	b.log.Info("the bus stores again")
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stuck = nil
}

// again stops the server and starts another on the same files and port. Only
// the whole server: its JetStream alone cannot be stopped while others use it.
func (b *Broker) again() error {
	b.Shutdown()
	srv, err := b.start()
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.srv = srv
	return nil
}

// tryRoom is nil when a directory's disk has room.
func tryRoom(dir string) (err error) {
	f, err := os.CreateTemp(dir, ".room-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if _, err := f.Write(make([]byte, room)); err != nil {
		return err
	}
	return f.Sync()
}
