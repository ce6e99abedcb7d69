package secret_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/secret"
	"github.com/luna-hpc/luna/pkg/subject"
)

func key(t *testing.T) secret.Key {
	t.Helper()
	k, err := secret.MakeKey(filepath.Join(t.TempDir(), "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestOnlyItsKeyOpensASecret(t *testing.T) {
	k := key(t)
	data, err := k.Seal("A", []byte("ladmin"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte("ladmin")) {
		t.Error("it is readable")
	}
	if got, err := k.Open("A", data); err != nil || string(got) != "ladmin" {
		t.Errorf("%q, %v", got, err)
	}
	flipped := bytes.Clone(data)
	flipped[len(flipped)-1] ^= 1
	for what, err := range map[string]error{
		"another key": open(key(t), "A", data), "another id": open(k, "B", data),
		"a flipped bit": open(k, "A", flipped), "half of it": open(k, "A", data[:len(data)/2]), "nothing": open(k, "A", nil),
	} {
		if !errors.Is(err, secret.ErrSealed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func open(k secret.Key, id string, data []byte) error {
	_, err := k.Open(id, data)
	return err
}

func TestOneKeyIsMadeByMany(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret.key")
	sealed := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range sealed {
		wg.Go(func() {
			k, err := secret.MakeKey(path)
			if err == nil {
				sealed[i], err = k.Seal("A", []byte("x"))
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	k, err := secret.ReadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sealed {
		if err := open(k, "A", s); err != nil {
			t.Error(err)
		}
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestAMissingKeyIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret.key")
	if _, err := secret.ReadKey(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.MakeKey(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
}

func TestSecretsAreFolded(t *testing.T) {
	c := natstest.Start(t).Connect(t, "reader")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	state, err := projection.Open(filepath.Join(t.TempDir(), "state.db"), c, slog.New(slog.NewTextHandler(io.Discard, nil)), secret.Fold())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	run, stop := context.WithCancel(ctx)
	go func() { done <- state.Run(run) }()
	defer func() { stop(); <-done }()
	k := key(t)
	data, err := k.Seal("A", []byte("ladmin"))
	if err != nil {
		t.Fatal(err)
	}
	ack, err := c.JS.Publish(ctx, subject.Secret("A"), data)
	if err != nil {
		t.Fatal(err)
	}
	if err := state.WaitFor(ctx, subject.Secrets, ack.Sequence); err != nil {
		t.Fatal(err)
	}
	read := func(id string) (got []byte, err error) {
		err = state.View(func(tx *projection.Tx) error { got, err = secret.Read(tx, k, id); return err })
		return got, err
	}
	if got, err := read("A"); err != nil || string(got) != "ladmin" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := read("B"); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("an unknown secret: %v", err)
	}
}
