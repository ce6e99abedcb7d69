package control

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
)

// serve runs a server and returns its socket.
func serve(t *testing.T, handlers map[string]Handler) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run/agent.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		done <- (&Server{Handlers: handlers, Log: slog.New(slog.DiscardHandler)}).Run(ctx, l)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return path
}

func TestCall(t *testing.T) {
	path := serve(t, map[string]Handler{"count": func(_ context.Context, request json.RawMessage, send func(any) error) error {
		var n int
		if err := json.Unmarshal(request, &n); err != nil {
			return err
		}
		for i := range n {
			if err := send(i); err != nil {
				return err
			}
		}
		return nil
	}})
	var got []string
	err := Call(t.Context(), path, "count", 3, func(e json.RawMessage) error { got = append(got, string(e)); return nil })
	if err != nil || strings.Join(got, " ") != "0 1 2" {
		t.Errorf("got %v, %v", got, err)
	}
	if err := Call(t.Context(), path, "count", "x", nil); err == nil || !strings.Contains(err.Error(), "cannot unmarshal") {
		t.Errorf("got %v", err)
	}
	if err := Call(t.Context(), path, "other", nil, nil); err == nil || err.Error() != `the boot process knows no "other"` {
		t.Errorf("got %v", err)
	}
	enough := errors.New("enough")
	if err := Call(t.Context(), path, "count", 3, func(json.RawMessage) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
}

func TestRequesterGoesAway(t *testing.T) {
	started, ended := make(chan struct{}), make(chan struct{})
	path := serve(t, map[string]Handler{"wait": func(ctx context.Context, _ json.RawMessage, _ func(any) error) error {
		close(started)
		<-ctx.Done()
		close(ended)
		return nil
	}})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-started; cancel() }()
	if err := Call(ctx, path, "wait", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-ended
}

func TestNobodyThere(t *testing.T) {
	if err := Call(t.Context(), filepath.Join(t.TempDir(), "none"), "x", nil, nil); !errors.Is(err, ErrAway) {
		t.Errorf("got %v", err)
	}
}

func TestSocketLeftBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for range 2 {
		l, err := Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
}
