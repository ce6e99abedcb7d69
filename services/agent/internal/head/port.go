package head

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// The ports that only root may use, without those that services have.
const (
	lowestPort  = 600
	highestPort = 1023
)

// dialAsRoot dials from a port that only root may use. Who is not root, as in
// tests, dials from any port: what it says is then believed by its token only.
func dialAsRoot(ctx context.Context, network, address string) (net.Conn, error) {
	port := highestPort
	for {
		dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second, LocalAddr: &net.TCPAddr{Port: port}}
		conn, err := dialer.DialContext(ctx, network, address)
		switch {
		case err == nil || ctx.Err() != nil:
			return conn, err
		case errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM):
			return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, address)
		case !errors.Is(err, unix.EADDRINUSE) && !errors.Is(err, unix.EADDRNOTAVAIL):
			return nil, err
		}
		if port--; port < lowestPort {
			return nil, fmt.Errorf("every port from %d to %d is taken: %w", lowestPort, highestPort, err)
		}
	}
}
