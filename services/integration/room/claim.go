package room

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	prefix   = "luna-"
	claimDir = "/run/luna-room"
)

// claim says who owns a name: a file held with flock(2) as long as its owner lives, with the owner's process id in it.
type claim struct {
	name string
	file *os.File
}

// newClaim takes a name that nobody has. The file is locked before it gets its name, so that no sweep
// can take it for one that a dead owner left.
func newClaim() (*claim, error) {
	if err := os.MkdirAll(claimDir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of claims: %w", err)
	}
	f, err := os.CreateTemp(claimDir, "new-*")
	if err != nil {
		return nil, fmt.Errorf("make a claim: %w", err)
	}
	defer os.Remove(f.Name())
	name, err := lockAndLink(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a claim: %w", err), f.Close())
	}
	return &claim{name: name, file: f}, nil
}

func lockAndLink(f *os.File) (string, error) {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintln(f, os.Getpid()); err != nil {
		return "", err
	}
	for range 100 {
		var b [2]byte
		if _, err := rand.Read(b[:]); err != nil {
			return "", err
		}
		name := prefix + hex.EncodeToString(b[:])
		err := os.Link(f.Name(), filepath.Join(claimDir, name))
		if err == nil || !errors.Is(err, fs.ErrExist) {
			return name, err
		}
	}
	return "", errors.New("no free name in 100 tries")
}

// release gives the name back.
func (c *claim) release() error {
	return errors.Join(os.Remove(filepath.Join(claimDir, c.name)), c.file.Close())
}

// takeOver claims what a dead owner left; nil without an error when the owner lives.
func takeOver(name string) (*claim, error) {
	path := filepath.Join(claimDir, name)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, f.Close()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if !stillAt(path, f) {
		return nil, f.Close()
	}
	return &claim{name: name, file: f}, nil
}

// stillAt tells whether a file still has its name: while its lock was awaited, its owner may have
// released it and another room have taken the name.
func stillAt(path string, f *os.File) bool {
	opened, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(opened, named)
}

// Sweep takes down the rooms whose owners died without closing them. Namespaces that no room made are left alone.
func Sweep(ctx context.Context) error {
	found, err := filepath.Glob(filepath.Join(claimDir, prefix+"*"))
	if err != nil {
		return fmt.Errorf("look for claims: %w", err)
	}
	var errs []error
	for _, path := range found {
		if err := sweep(ctx, filepath.Base(path)); err != nil {
			errs = append(errs, fmt.Errorf("sweep room %s: %w", filepath.Base(path), err))
		}
	}
	return errors.Join(errs...)
}

func sweep(ctx context.Context, name string) error {
	c, err := takeOver(name)
	if c == nil || err != nil {
		return err
	}
	namespaces, err := filepath.Glob(netnsPath(name) + "*") // the head's and the hosts'
	for _, path := range namespaces {
		err = errors.Join(err, removeNamespace(ctx, filepath.Base(path)))
	}
	if err != nil {
		return errors.Join(err, c.file.Close()) // the claim stays for the next sweep
	}
	return errors.Join(os.RemoveAll(ownDir(name)), c.release())
}
