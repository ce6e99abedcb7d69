// Package control carries requests of the install script's commands to the boot process, over a Unix socket.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// ErrAway is returned when there is no boot process.
var ErrAway = errors.New("the boot process does not answer")

// Handler answers one kind of request: it may send events, and its error is
// that of the request. Its context ends when the requester goes away.
type Handler func(ctx context.Context, request json.RawMessage, send func(event any) error) error

// message is one line on the socket.
type message struct {
	Op      string          `json:"op,omitempty"`
	Request json.RawMessage `json:"request,omitempty"`
	Event   json.RawMessage `json:"event,omitempty"`
	Done    bool            `json:"done,omitempty"`
	Error   string          `json:"error,omitempty"`
}

// Server answers requests.
type Server struct {
	Handlers map[string]Handler
	Log      *slog.Logger
}

// Listen makes the socket, for root only, in place of one that a process has
// left behind.
func Listen(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make control socket: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("make control socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("make control socket: %w", err)
	}
	return l, nil
}

// Run serves until ctx ends, and waits for the requests that it serves.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var requests sync.WaitGroup
	defer requests.Wait()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept on control socket: %w", err)
		}
		requests.Go(func() {
			defer conn.Close()
			if err := s.serve(ctx, conn); err != nil {
				s.Log.Warn("a request broke off", "err", err)
			}
		})
	}
}

func (s *Server) serve(ctx context.Context, conn net.Conn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	in := json.NewDecoder(conn)
	var m message
	if err := in.Decode(&m); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	// The requester says nothing more: what comes is its end.
	go func() {
		_, _ = io.Copy(io.Discard, conn)
		cancel()
	}()
	out := json.NewEncoder(conn)
	var mu sync.Mutex
	send := func(event any) error {
		data, err := json.Marshal(event)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		return out.Encode(message{Event: data})
	}
	last := message{Done: true}
	if handle, ok := s.Handlers[m.Op]; !ok {
		last.Error = fmt.Sprintf("the boot process knows no %q", m.Op)
	} else if err := handle(ctx, m.Request, send); err != nil {
		last.Error = err.Error()
	}
	mu.Lock()
	defer mu.Unlock()
	if err := out.Encode(last); err != nil && ctx.Err() == nil {
		return fmt.Errorf("answer %s: %w", m.Op, err)
	}
	return nil
}

// Call sends a request and hands each event to each, which may be nil, until
// the request is done. The error is that of the handler, of each, or ErrAway.
func Call(ctx context.Context, path, op string, request any, each func(json.RawMessage) error) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
		return ErrAway
	}
	if err != nil {
		return fmt.Errorf("call the boot process: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	body, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("encode request %s: %w", op, err)
	}
	if err := json.NewEncoder(conn).Encode(message{Op: op, Request: body}); err != nil {
		return fmt.Errorf("call the boot process: %w", err)
	}
	return follow(ctx, json.NewDecoder(conn), op, each)
}

func follow(ctx context.Context, in *json.Decoder, op string, each func(json.RawMessage) error) error {
	for {
		var m message
		switch err := in.Decode(&m); {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return fmt.Errorf("%w: %s broke off: %w", ErrAway, op, err)
		case m.Done && m.Error != "":
			return errors.New(m.Error)
		case m.Done:
			return nil
		}
		if each == nil {
			continue
		}
		if err := each(m.Event); err != nil {
			return err
		}
	}
}
