// Package broker runs a NATS server with Luna's users, rights and limits.
package broker

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/nats-io/nkeys"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/durable"
)

// KeyFile returns where the seed of a user lies below a directory; the
// operator's is called operator.creds.
func KeyFile(dir, user string) string {
	if user == "operator" {
		return filepath.Join(dir, "operator.creds")
	}
	return filepath.Join(dir, user+".nk")
}

// Keys makes the seeds that are missing in a directory (files 0600, directory
// 0700) and returns the public nkey of every user of the bus.
func Keys(dir string) (map[string]string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make key directory: %w", err)
	}
	public := map[string]string{}
	for _, r := range bus.Rights() {
		p, err := key(KeyFile(dir, r.User))
		if err != nil {
			return nil, fmt.Errorf("key of bus user %s: %w", r.User, err)
		}
		public[r.User] = p
	}
	return public, nil
}

// key reads a seed, or makes it, and returns its public key.
func key(file string) (string, error) {
	seed, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(file)
	}
	if err != nil {
		return "", err
	}
	pair, err := nkeys.ParseDecoratedNKey(seed)
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	return pair.PublicKey()
}

func makeKey(file string) (string, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return "", err
	}
	seed, err := pair.Seed()
	if err != nil {
		return "", err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	if _, err := f.Write(append(seed, '\n')); err != nil {
		return "", errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close(), durable.Sync(filepath.Dir(file))); err != nil {
		return "", err
	}
	return pair.PublicKey()
}

// variable is the name of a user's public key in the configuration.
func variable(user string) string { return "key_" + strings.ReplaceAll(user, "-", "_") }

// KeysConf returns the server configuration that defines the public keys which
// the rights refer to.
func KeysConf(public map[string]string) string {
	users := make([]string, 0, len(public))
	for u := range public {
		users = append(users, u)
	}
	sort.Strings(users)
	var b strings.Builder
	for _, u := range users {
		fmt.Fprintf(&b, "%s: %q\n", variable(u), public[u])
	}
	return b.String()
}
