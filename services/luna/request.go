package luna

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/subject"
)

// connect waits a few seconds for the bus, as the operator.
func (a *app) connect(ctx context.Context) (*bus.Conn, error) {
	if a.conn != nil {
		return a.conn, nil
	}
	conn, err := a.dial(ctx, "operator", a.creds)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fault.Unavailablef("the operator's key %s does not exist; say --creds FILE or LUNA_CREDS", a.creds)
	}
	if errors.Is(err, os.ErrPermission) {
		return nil, fault.Unavailablef("the operator's key %s may be read by root only", a.creds)
	}
	a.conn = conn
	return conn, err
}

// dial connects as a user of the bus and waits a few seconds until it answers.
func (a *app) dial(ctx context.Context, user, key string) (*bus.Conn, error) {
	conn, err := bus.Connect(bus.Options{URL: a.url, User: user, KeyFile: key, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		return nil, fault.Unavailablef("%w", err)
	}
	limit := time.After(5 * time.Second)
	for conn.Up() != nil {
		connected := conn.Connected()
		if conn.Up() == nil {
			break
		}
		select {
		case <-connected:
		case <-limit:
			err := conn.Up()
			conn.Close()
			return nil, fault.Unavailablef("cannot reach the bus at %s: %w", a.url, err)
		case <-ctx.Done():
			conn.Close()
			return nil, ctx.Err()
		}
	}
	return conn, nil
}

// ask sends a command and waits for its reply.
func ask[Rep proto.Message](ctx context.Context, a *app, service, noun, verb string, req proto.Message, rep Rep) (Rep, error) {
	conn, err := a.connect(ctx)
	if err != nil {
		return rep, err
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	ctx = bus.WithCall(ctx, bus.Call{ID: bus.NewID(), Author: author(), Reason: a.reason, DryRun: a.dryRun})
	return bus.Request(ctx, conn, subject.Command(service, noun, verb), req, rep)
}

// author is who types: the user behind sudo, at this machine.
func author() string {
	name := os.Getenv("SUDO_USER")
	if name == "" {
		if u, err := user.Current(); err == nil {
			name = u.Username
		}
	}
	host, _ := os.Hostname()
	return fmt.Sprintf("%s@%s", name, host)
}
