package testenv

import (
	"net"
	"testing"
)

// FreePorts returns different TCP ports of 127.0.0.1 that nobody listens on.
func FreePorts(t testing.TB, n int) (ports []int) {
	t.Helper()
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close() // when all have theirs
		ports = append(ports, ln.Addr().(*net.TCPAddr).Port)
	}
	return ports
}
