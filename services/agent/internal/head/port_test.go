package head

import (
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"testing"

	"github.com/luna-hpc/luna/pkg/testenv"
	bootscript "github.com/luna-hpc/luna/proto/bootscript/v1"
)

func TestHardwareComesFromAPortOfRoot(t *testing.T) {
	testenv.Root(t)
	var from []uint16
	h := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "step=hardware&node=node001" || r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("%s, %v", r.URL, r.Header)
		}
		from = append(from, netip.MustParseAddrPort(r.RemoteAddr).Port())
		// The next request needs a connection, and so a port, of its own.
		w.Header().Set("Connection", "close")
	})
	taken, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(highestPort)))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for range 3 {
		if err := h.Hardware(t.Context(), &bootscript.Hardware{Product: "a crate"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, port := range from {
		if port >= highestPort || port < lowestPort {
			t.Errorf("came from ports %d", from)
		}
	}
	if len(from) != 3 {
		t.Errorf("came from ports %d", from)
	}
}

func TestNobodyListens(t *testing.T) {
	testenv.Root(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	if conn, err := dialAsRoot(t.Context(), "tcp", address); err == nil {
		conn.Close()
		t.Error("somebody answered")
	}
}
