// Package notice tells the boot scripts of the same head of iPXE's exchanges,
// over a Unix socket that only this host can write to.
package notice

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"

	"github.com/luna-hpc/luna/services/dhcp/internal/exchange"
)

// Message is one datagram.
type Message struct {
	MAC     string    `json:"mac"`
	Address string    `json:"address"`
	At      time.Time `json:"at"`
}

// Sender sends one datagram an exchange and never waits: when nobody reads,
// the notice is lost, and the machine boots without a token.
type Sender struct {
	to   *unix.SockaddrUnix
	fd   int
	log  *slog.Logger
	warn *rate.Limiter
}

// New returns a sender to a socket file, which need not exist yet.
func New(path string, log *slog.Logger) (*Sender, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open socket for notices: %w", err)
	}
	return &Sender{to: &unix.SockaddrUnix{Name: path}, fd: fd, log: log, warn: rate.NewLimiter(rate.Every(time.Minute), 1)}, nil
}

// Exchanged sends a notice.
func (s *Sender) Exchanged(e exchange.Exchanged) {
	data, err := json.Marshal(Message{MAC: e.MAC.String(), Address: e.Address.String(), At: e.At.UTC()})
	if err == nil {
		err = unix.Sendto(s.fd, data, unix.MSG_DONTWAIT, s.to)
	}
	if err != nil && s.warn.Allow() {
		s.log.Warn("boot scripts were not told of an exchange: no token for this boot", "mac", e.MAC, "socket", s.to.Name, "err", err)
	}
}

// Close closes the sender's socket.
func (s *Sender) Close() error { return os.NewSyscallError("close", unix.Close(s.fd)) }
