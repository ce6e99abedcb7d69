// Package secret seals what only a few services may read: the sealed bytes travel on the bus, the key stays on the heads' disks.
package secret

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"github.com/luna-hpc/luna/pkg/durable"
)

// ErrSealed is returned for what was sealed with another key, under another id, or damaged.
var ErrSealed = errors.New("the secret cannot be opened with this head's key: every head needs the same secret.key")

// Key seals and opens secrets. All heads of a cluster have the same one.
type Key struct{ identity *age.X25519Identity }

// ReadKey reads a key file, an age identity.
func ReadKey(path string) (Key, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Key{}, fmt.Errorf("read the key of the secrets (luna-setup keys makes it on the first head, other heads get a copy): %w", err)
	}
	id, err := age.ParseX25519Identity(strings.TrimSpace(string(text)))
	if err != nil {
		return Key{}, fmt.Errorf("key of the secrets %s: %w", path, err)
	}
	return Key{id}, nil
}

// MakeKey reads a key file, which it makes when there is none, readable by its owner alone.
func MakeKey(path string) (Key, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = writeKey(path)
	}
	if err != nil {
		return Key{}, fmt.Errorf("make the key of the secrets: %w", err)
	}
	return ReadKey(path)
}

// writeKey makes a whole key file, unless another process was faster.
func writeKey(path string) error {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".secret-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = io.WriteString(f, id.String()+"\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return durable.Sync(filepath.Dir(path))
}

// Digest tells data apart that only who has the key can guess at: the HMAC-SHA256
// of its parts.
func (k Key) Digest(parts ...string) []byte {
	var key []byte
	if k.identity != nil {
		key = []byte(k.identity.String())
	}
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return h.Sum(nil)
}

// Seal encrypts data, bound to the id under which it will be found.
func (k Key) Seal(id string, data []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, k.identity.Recipient())
	if err == nil {
		_, err = w.Write(append([]byte(id+"\n"), data...))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("seal a secret: %w", err)
	}
	return out.Bytes(), nil
}

// Open decrypts what Seal made for the id.
func (k Key) Open(id string, sealed []byte) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), k.identity)
	if err != nil {
		return nil, fmt.Errorf("secret %s: %w", id, errors.Join(ErrSealed, err))
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("secret %s: %w", id, errors.Join(ErrSealed, err))
	}
	data, ok := bytes.CutPrefix(data, []byte(id+"\n"))
	if !ok {
		return nil, fmt.Errorf("secret %s is another one: %w", id, ErrSealed)
	}
	return data, nil
}
