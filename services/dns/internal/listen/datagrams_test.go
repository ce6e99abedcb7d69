package listen_test

import (
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestDatagramsThatAreNoQuestions sends what no resolver does: the server refuses, or says nothing, and goes on.
func TestDatagramsThatAreNoQuestions(t *testing.T) {
	h := startHost(t, 0, "127.0.0.57")
	conn, err := net.Dial("udp", h.Bound()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	good := func() *dns.Msg { return new(dns.Msg).SetQuestion("node001.cluster.", dns.TypeA) }
	pack := func(change func(m *dns.Msg)) []byte {
		m := good()
		change(m)
		data, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for what, c := range map[string]struct {
		data  []byte
		rcode int // -1 is no answer
	}{
		"nothing":            {[]byte{}, -1},
		"half a header":      {[]byte("\x00\x01\x01"), -1},
		"an answer":          {pack(func(m *dns.Msg) { m.Response = true }), -1},
		"a cut question":     {pack(func(*dns.Msg) {})[:20], dns.RcodeFormatError},
		"two questions":      {pack(func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }), dns.RcodeFormatError},
		"no question":        {pack(func(m *dns.Msg) { m.Question = nil }), dns.RcodeFormatError},
		"an update":          {pack(func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }), dns.RcodeNotImplemented},
		"a name without end": {append(pack(func(*dns.Msg) {})[:12], 0xc0, 12, 0, 1, 0, 1), dns.RcodeFormatError},
	} {
		if _, err := conn.Write(c.data); err != nil {
			t.Fatal(err)
		}
		// The good question after it tells that there was no answer, and that the server goes on.
		ask := good()
		data, err := ask.Pack()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(data); err != nil {
			t.Fatal(err)
		}
		rcode := -1
		for answered := false; !answered; {
			got := receive(t, conn)
			if answered = got.Id == ask.Id; answered && (got.Rcode != dns.RcodeSuccess || len(got.Answer) != 1) {
				t.Errorf("after %s: %v", what, got)
			} else if !answered {
				rcode = got.Rcode
			}
			if answered && c.rcode >= 0 && rcode < 0 { // answers may come in another order
				rcode = receive(t, conn).Rcode
			}
		}
		if rcode != c.rcode {
			t.Errorf("%s is answered with %d, want %d", what, rcode, c.rcode)
		}
	}
}

func receive(t *testing.T, conn net.Conn) *dns.Msg {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(buf[:n]); err != nil {
		t.Fatal(err)
	}
	return m
}
