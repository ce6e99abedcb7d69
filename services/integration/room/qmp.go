package room

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// qmp speaks QEMU's monitor protocol over a connected socket, one command at a time.
type qmp struct {
	mu   sync.Mutex
	conn net.Conn
	in   *json.Decoder
}

// qmpMessage is any of the protocol's messages: greeting, answer or event.
type qmpMessage struct {
	Greeting json.RawMessage `json:"QMP"`
	Event    string          `json:"event"`
	Return   json.RawMessage `json:"return"`
	Error    *struct {
		Desc string `json:"desc"`
	} `json:"error"`
}

func newQMP(conn net.Conn) *qmp { return &qmp{conn: conn, in: json.NewDecoder(conn)} }

// greet waits for QEMU's greeting and leaves the negotiation that it opens.
func (q *qmp) greet(ctx context.Context) error {
	if err := q.exchange(ctx, nil, func(m qmpMessage) bool { return m.Greeting != nil }); err != nil {
		return fmt.Errorf("wait for qemu: %w", err)
	}
	return q.execute(ctx, "qmp_capabilities", nil)
}

func (q *qmp) execute(ctx context.Context, command string, arguments map[string]any) error {
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}
	if err := q.exchange(ctx, request, func(m qmpMessage) bool { return m.Return != nil }); err != nil {
		return fmt.Errorf("qemu's %s: %w", command, err)
	}
	return nil
}

// exchange sends a request, if there is one, and reads on to its answer; events on the way are of no interest.
func (q *qmp) exchange(ctx context.Context, request any, answer func(qmpMessage) bool) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = q.conn.SetDeadline(time.Unix(1, 0)) })()
	if request != nil {
		if err := json.NewEncoder(q.conn).Encode(request); err != nil {
			return errors.Join(err, ctx.Err())
		}
	}
	for {
		var m qmpMessage
		if err := q.in.Decode(&m); err != nil {
			return errors.Join(err, ctx.Err())
		}
		if m.Error != nil {
			return errors.New(m.Error.Desc)
		}
		if answer(m) {
			return nil
		}
	}
}

// socketPair makes two connected sockets: ours, and one to be inherited.
func socketPair() (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make socket pair: %w", err)
	}
	here, there := os.NewFile(uintptr(fds[0]), "qmp"), os.NewFile(uintptr(fds[1]), "qmp")
	defer here.Close()
	conn, err := net.FileConn(here)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("make socket pair: %w", err), there.Close())
	}
	return conn, there, nil
}
