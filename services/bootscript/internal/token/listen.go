package token

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
)

// Listener hears of exchanges on a Unix datagram socket.
type Listener struct {
	// Path of the socket; what lies there is replaced.
	Path      string
	Exchanges *Exchanges
	Log       *slog.Logger
}

// Run listens until ctx ends, then removes the socket.
func (l Listener) Run(ctx context.Context) error {
	if err := os.Remove(l.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove old socket: %w", err)
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: l.Path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("listen for DHCP exchanges: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer os.Remove(l.Path)
	defer conn.Close()
	if err := os.Chmod(l.Path, 0o600); err != nil {
		return fmt.Errorf("listen for DHCP exchanges: %w", err)
	}
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("hear DHCP exchanges: %w", err)
		}
		e, err := ParseExchange(buf[:n])
		if err != nil {
			l.Log.Warn("datagram is dropped", "err", err)
			continue
		}
		l.Log.Debug("machine was given an address", "mac", e.MAC, "address", e.Address)
		l.Exchanges.Note(e)
	}
}

// Ready is always nil: without exchanges nodes boot, without tokens.
func (l Listener) Ready() error { return nil }

// String returns "exchanges".
func (l Listener) String() string { return "exchanges" }
