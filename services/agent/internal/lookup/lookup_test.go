package lookup

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const zone = `node001.cluster. 60 IN A 10.30.0.1
node001.cluster. 60 IN AAAA fd00::1
www.cluster. 60 IN CNAME node001.cluster.
1.0.30.10.in-addr.arpa. 60 IN PTR node001.cluster.
cluster. 60 IN MX 10 node001.cluster.
`

// serve runs a name server of the zone and returns its port. Answers for the
// name big. fit only into TCP.
func serve(t *testing.T) string {
	t.Helper()
	records := map[string][]dns.RR{}
	for line := range strings.Lines(zone) {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		key := rr.Header().Name + dns.TypeToString[rr.Header().Rrtype]
		records[key] = append(records[key], rr)
	}
	for i := range 200 {
		rr, _ := dns.NewRR(fmt.Sprintf("big. 60 IN A 10.1.0.%d", i))
		records["big.A"] = append(records["big.A"], rr)
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Answer = records[q.Question[0].Name+dns.TypeToString[q.Question[0].Qtype]]
		if m.Answer == nil && q.Question[0].Name != "node001.cluster." {
			m.Rcode = dns.RcodeNameError
		}
		if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
			m.Truncate(512)
		}
		_ = w.WriteMsg(m)
	})
	pc, l, port := listen(t)
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: handler}, {Listener: l, Handler: handler}} {
		started, done := make(chan struct{}), make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { defer close(done); _ = s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = s.Shutdown(); <-done })
	}
	return port
}

func resolver(t *testing.T) Resolver {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(path, []byte("nameserver 127.0.0.1\nsearch other cluster\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return Resolver{Config: path, Timeout: 2 * time.Second, Tries: 1}
}

func TestDigShort(t *testing.T) {
	port := serve(t)
	for _, c := range []struct{ args, want string }{
		{"node001.cluster", "10.30.0.1\n"},
		{"node001.cluster aaaa", "fd00::1\n"},
		{"-t MX cluster.", "10 node001.cluster.\n"},
		{"@127.0.0.1 IN CNAME www.cluster", "node001.cluster.\n"},
		{"-x 10.30.0.1", "node001.cluster.\n"},
		{"nothing.cluster +time=1 +tries=1", ""},
	} {
		var out, errOut bytes.Buffer
		args := append(strings.Fields(c.args), "+short", "-p", port)
		if code := resolver(t).Dig(t.Context(), args, &out, &errOut); code != 0 || out.String() != c.want || errOut.Len() > 0 {
			t.Errorf("dig %s: %d %q %q, want %q", c.args, code, out.String(), errOut.String(), c.want)
		}
	}
}

func TestDigAsksOverTCPWhatDoesNotFit(t *testing.T) {
	var out bytes.Buffer
	port := serve(t)
	resolver(t).Dig(t.Context(), []string{"big", "+short", "-p", port}, &out, &out)
	if n := strings.Count(out.String(), "\n"); n != 200 {
		t.Errorf("%d lines", n)
	}
}

func TestDigLong(t *testing.T) {
	port := serve(t)
	var out bytes.Buffer
	resolver(t).Dig(t.Context(), []string{"node001.cluster", "-p", port}, &out, &out)
	got := regexp.MustCompile(`id: \d+|time: \d+ msec|#?:?`+port).ReplaceAllString(out.String(), "?")
	want := `;; opcode: QUERY, status: NOERROR, ?
;; flags: qr rd; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 0

;; QUESTION SECTION:
;node001.cluster.	IN	 A

;; ANSWER SECTION:
node001.cluster.	60	IN	A	10.30.0.1

;; Query ?
;; SERVER: 127.0.0.1?
`
	if got != want {
		t.Errorf("said\n%swant\n%s", got, want)
	}
}

func TestWrongUsage(t *testing.T) {
	for _, c := range []struct{ program, args, want string }{
		{"dig", "-x", "-x needs a value"},
		{"dig", "-x node", "'node' is no address"},
		{"dig", "-t BAD a", "unknown type BAD"},
		{"dig", "node1 node2", "one name at a time"},
		{"dig", "a +trace", "option +trace is not among"},
		{"dig", "a +time=0", "+time=0 is no number"},
		{"dig", "a -k key", "option -k is not among"},
		{"nslookup", "", "a name is missing"},
		{"nslookup", "a b c", "'c' is too much"},
		{"nslookup", "-debug a", "option -debug is not among"},
	} {
		var out, errOut bytes.Buffer
		run := resolver(t).Dig
		if c.program == "nslookup" {
			run = resolver(t).Nslookup
		}
		if code := run(t.Context(), strings.Fields(c.args), &out, &errOut); code != 1 || !strings.Contains(errOut.String(), c.want) {
			t.Errorf("%s %s: %d %q, want %q", c.program, c.args, code, errOut.String(), c.want)
		}
	}
}

func TestNobodyAnswers(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	_, port, _ := net.SplitHostPort(pc.LocalAddr().String())
	r := resolver(t)
	r.Timeout = 10 * time.Millisecond
	var out bytes.Buffer
	if code := r.Dig(t.Context(), []string{"a", "-p", port}, &out, &out); code != 9 || !strings.Contains(out.String(), "no servers could be reached") {
		t.Errorf("dig: %d %s", code, &out)
	}
	out.Reset()
	if code := r.Nslookup(t.Context(), []string{"a", "-port=" + port}, &out, &out); code != 1 || !strings.Contains(out.String(), "no servers could be reached") {
		t.Errorf("nslookup: %d %s", code, &out)
	}
}

func TestNslookup(t *testing.T) {
	port := serve(t)
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"node001", 0, "Name:\tnode001.cluster\nAddress: 10.30.0.1\nName:\tnode001.cluster\nAddress: fd00::1\n"},
		{"10.30.0.1 127.0.0.1", 0, "1.0.30.10.in-addr.arpa\tname = node001.cluster.\n"},
		{"-type=mx cluster.", 0, "cluster\tMX 10 node001.cluster.\n"},
		{"-q=cname www.cluster", 0, "www.cluster\tcanonical name = node001.cluster.\n"},
		{"nobody", 1, "** server can't find nobody: NXDOMAIN\n"},
		{"-type=mx node001.cluster", 1, "** server can't find node001.cluster: NXDOMAIN\n"},
	} {
		var out, errOut bytes.Buffer
		code := resolver(t).Nslookup(t.Context(), append(strings.Fields(c.args), "-port="+port), &out, &errOut)
		want := "Server:\t\t127.0.0.1\nAddress:\t127.0.0.1#" + port + "\n\n" + c.want
		if code != c.code || out.String() != want || errOut.Len() > 0 {
			t.Errorf("nslookup %s: %d\n%s%swant\n%s", c.args, code, &out, &errOut, want)
		}
	}
}

// listen returns sockets for UDP and TCP at one free port.
func listen(t *testing.T) (pc net.PacketConn, l net.Listener, port string) {
	t.Helper()
	for range 100 {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(pc.LocalAddr().String())
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			return pc, l, port
		}
		pc.Close() // another has it for TCP
	}
	t.Fatal("no port is free for both UDP and TCP")
	return nil, nil, ""
}
