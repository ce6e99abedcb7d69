// Package imagelock keeps those who work in an image's directory and those who read it whole apart.
package imagelock

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrBusy is why a lock is not given: somebody holds the other kind.
var ErrBusy = errors.New("its directory is in use")

// Lock is held until Unlock, or until the process ends, however it does.
type Lock struct{ dir *os.File }

// Shared is for who works in the directory, beside others who do; ErrBusy while it is packed or copied.
func Shared(dir string) (*Lock, error) {
	return lock(dir, unix.LOCK_SH, "it is being packed or copied")
}

// Exclusive is for who reads or writes the directory whole; ErrBusy while anybody else has a lock.
func Exclusive(dir string) (*Lock, error) {
	return lock(dir, unix.LOCK_EX, "somebody works in it (`luna osimage chroot`), or it is being packed or copied")
}

// lock takes a flock(2) of the directory itself: containers that see it at different places share it. A file system
// that knows no locks of directories, as NFS, has none.
func lock(dir string, how int, why string) (*Lock, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	err = unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, errors.Join(fmt.Errorf("%w: %s: %s", ErrBusy, dir, why), f.Close())
	case err != nil && !errors.Is(err, unix.EBADF) && !errors.Is(err, unix.ENOLCK) && !errors.Is(err, unix.ENOTSUP):
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), f.Close())
	}
	return &Lock{f}, nil
}

// Unlock gives the lock back.
func (l *Lock) Unlock() error { return l.dir.Close() }
