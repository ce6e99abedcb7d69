package walk_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gosnmp/gosnmp"

	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/services/switch-poller/internal/fdb"
	"github.com/luna-hpc/luna/services/switch-poller/internal/snmptest"
	"github.com/luna-hpc/luna/services/switch-poller/internal/walk"
)

const (
	table     = ".1.3.6.1.4.1.9999.1"
	community = "room 7"
)

var limits = walk.Limits{Timeout: 5 * time.Second, Retries: 1, Repetitions: 10, Rows: 1000}

// short is for switches that are silent.
var short = walk.Limits{Timeout: 50 * time.Millisecond, Retries: 1, Repetitions: 10, Rows: 1000}

// serve starts a switch with 35 rows in the table, one before and one behind it.
func serve(t testing.TB, s *snmptest.Switch) netip.AddrPort {
	t.Helper()
	conn := snmptest.Listen(t, "127.0.0.1:0")
	s.Community = community
	s.Serve(t, conn)
	s.Set(".1.3.6.1.4.1.9998.1", gosnmp.Integer, 1)
	for i := range 35 {
		s.Set(fmt.Sprintf("%s.%d.7", table, i), gosnmp.Integer, i)
	}
	s.Set(".1.3.6.1.4.1.9999.2.1", gosnmp.Integer, 1)
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

func read(ctx context.Context, t testing.TB, to netip.AddrPort, l walk.Login, lim walk.Limits, table string) (rows []fdb.Row, err error) {
	t.Helper()
	s, err := walk.Dial(ctx, to, l, lim)
	if err != nil {
		return nil, err
	}
	err = s.Walk(ctx, table, func(r fdb.Row) { rows = append(rows, r) })
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return rows, err
}

func TestTableIsReadToItsEnd(t *testing.T) {
	s := &snmptest.Switch{}
	to := serve(t, s)
	for _, repetitions := range []uint32{1, 7, 35, 36, 500} {
		lim := limits
		lim.Repetitions = repetitions
		rows, err := read(t.Context(), t, to, walk.Login{Community: community}, lim, table)
		if err != nil || len(rows) != 35 {
			t.Fatalf("%d at once: %d rows, %v", repetitions, len(rows), err)
		}
		for i, r := range rows {
			if !slices.Equal(r.Index, []uint32{uint32(i), 7}) || r.Value != i {
				t.Fatalf("row %d: %+v", i, r)
			}
		}
	}
	for _, none := range []string{".1.3.6.1.4.1.9999.1.50", ".1.3.6.1.4.1.9997", ".1.3.7"} {
		if rows, err := read(t.Context(), t, to, walk.Login{Community: community}, limits, none); err != nil || len(rows) != 0 {
			t.Errorf("%s: %v, %v", none, rows, err)
		}
	}
	if _, err := read(t.Context(), t, to, walk.Login{Community: community}, limits, "sysDescr"); err == nil || !strings.Contains(err.Error(), `"sysDescr" is no OID`) {
		t.Error(err)
	}
}

func TestLoginsThatCannotBe(t *testing.T) {
	for name, l := range map[string]walk.Login{
		"no community":        {},
		"a long one":          {Community: strings.Repeat("x", 128)},
		"a hash of others":    {User: "u", AuthProtocol: "SHA3", AuthPassword: "password"},
		"a cipher of others":  {User: "u", AuthProtocol: "SHA", AuthPassword: "password", PrivProtocol: "ROT13", PrivPassword: "password"},
		"a hash, no password": {User: "u", AuthProtocol: "SHA"},
		"cipher, no password": {User: "u", AuthProtocol: "SHA", AuthPassword: "password", PrivProtocol: "AES"},
	} {
		if _, err := walk.Dial(t.Context(), netip.MustParseAddrPort("127.0.0.1:9"), l, limits); err == nil {
			t.Errorf("%s: it is used", name)
		}
	}
}

func TestOthersAreNotHeard(t *testing.T) {
	s := &snmptest.Switch{}
	to := serve(t, s)
	for name, l := range map[string]walk.Login{"another community": {Community: "public"}, "version 3": {User: "u"}} {
		if rows, err := read(t.Context(), t, to, l, short, table); err == nil || len(rows) > 0 {
			t.Errorf("%s: %d rows, %v", name, len(rows), err)
		}
	}
	if rows, err := read(t.Context(), t, netip.MustParseAddrPort("127.0.0.1:9"), walk.Login{Community: community}, short, table); err == nil {
		t.Errorf("nobody is there: %v", rows)
	}
}

// build makes an answer with values of the test's own.
func build(request *gosnmp.SnmpPacket, status gosnmp.SNMPError, rows ...gosnmp.SnmpPDU) [][]byte {
	out, err := (&gosnmp.SnmpPacket{Version: gosnmp.Version2c, Community: community, PDUType: gosnmp.GetResponse,
		RequestID: request.RequestID, Error: status, Variables: rows}).MarshalMsg()
	if err != nil {
		panic(err)
	}
	return [][]byte{out}
}

func integer(oid string) gosnmp.SnmpPDU {
	return gosnmp.SnmpPDU{Name: oid, Type: gosnmp.Integer, Value: 1}
}

// endless goes on for ever behind any OID.
func endless(request *gosnmp.SnmpPacket, _ []byte) [][]byte {
	at := request.Variables[0].Name
	if at == table {
		at += ".1"
	}
	var rows []gosnmp.SnmpPDU
	var n uint32
	dot := strings.LastIndexByte(at, '.')
	fmt.Sscan(at[dot+1:], &n)
	for range request.MaxRepetitions {
		n++
		rows = append(rows, integer(fmt.Sprintf("%s.%d", at[:dot], n)))
	}
	return build(request, 0, rows...)
}

func TestAnswersThatDoNotLeadOn(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*gosnmp.SnmpPacket, []byte) [][]byte
		want   string
	}{
		"endless": {endless, "more than 1000 rows"},
		"it stands still": {func(r *gosnmp.SnmpPacket, _ []byte) [][]byte {
			return build(r, 0, integer(table+".3"))
		}, "goes back from " + table + ".3 to " + table + ".3"},
		"it goes back": {func(r *gosnmp.SnmpPacket, _ []byte) [][]byte {
			return build(r, 0, integer(table+".10"), integer(table+".9"))
		}, "goes back from"},
		"before the table": {func(r *gosnmp.SnmpPacket, _ []byte) [][]byte {
			return build(r, 0, integer(".1.3.6.1.2.1.1"))
		}, "goes back from"},
		"a fault": {func(r *gosnmp.SnmpPacket, _ []byte) [][]byte {
			return build(r, gosnmp.GenErr, integer(table+".1"))
		}, "the switch says GenErr"},
		"no access": {func(r *gosnmp.SnmpPacket, _ []byte) [][]byte {
			return build(r, gosnmp.AuthorizationError, integer(table+".1"))
		}, "the switch says AuthorizationError"},
		"too big for ever": {func(r *gosnmp.SnmpPacket, _ []byte) [][]byte {
			return build(r, gosnmp.TooBig, integer(table+".1"))
		}, "the switch says TooBig"},
		"nothing in it": {func(r *gosnmp.SnmpPacket, _ []byte) [][]byte { return build(r, 0) }, "the answer is empty"},
		"a request": {func(r *gosnmp.SnmpPacket, answer []byte) [][]byte {
			i := slices.Index(answer, byte(gosnmp.GetResponse))
			answer[i] = byte(gosnmp.GetRequest)
			return [][]byte{answer}
		}, "the answer is no response"},
		"cut":     {func(_ *gosnmp.SnmpPacket, answer []byte) [][]byte { return [][]byte{answer[:len(answer)/2]} }, "read " + table},
		"no byte": {func(*gosnmp.SnmpPacket, []byte) [][]byte { return [][]byte{{}, {}} }, "read " + table},
		"silence": {func(*gosnmp.SnmpPacket, []byte) [][]byte { return nil }, "timeout"},
		"another's answers": {func(r *gosnmp.SnmpPacket, _ []byte) [][]byte {
			r.RequestID += 77
			return build(r, 0, integer(table+".1"))
		}, "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			to := serve(t, &snmptest.Switch{Change: test.change})
			lim := limits
			if test.want == "timeout" {
				lim = short
			}
			rows, err := read(t.Context(), t, to, walk.Login{Community: community}, lim, table)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 400 {
				t.Errorf("%v", err)
			}
			if len(rows) > limits.Rows+1 {
				t.Errorf("%d rows", len(rows))
			}
		})
	}
}

func TestSmallerAnswersAfterTooBig(t *testing.T) {
	s := &snmptest.Switch{Change: func(r *gosnmp.SnmpPacket, answer []byte) [][]byte {
		if r.MaxRepetitions > 3 {
			return build(r, gosnmp.TooBig, r.Variables...)
		}
		return [][]byte{answer}
	}}
	if rows, err := read(t.Context(), t, serve(t, s), walk.Login{Community: community}, limits, table); err != nil || len(rows) != 35 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

func TestLostAndDoubledAnswers(t *testing.T) {
	n := 0
	var last []byte
	s := &snmptest.Switch{Change: func(_ *gosnmp.SnmpPacket, answer []byte) [][]byte {
		n++
		old := last
		last = answer
		if n%2 == 1 {
			return nil // lost; the asker tries again
		}
		return [][]byte{old, answer, answer}
	}}
	lim := short
	lim.Retries = 20
	if rows, err := read(t.Context(), t, serve(t, s), walk.Login{Community: community}, lim, table); err != nil || len(rows) != 35 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

func TestASessionIsCut(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &snmptest.Switch{Change: func(*gosnmp.SnmpPacket, []byte) [][]byte { cancel(); return nil }}
	lim := limits
	lim.Timeout, lim.Retries = time.Hour, 10
	if _, err := read(ctx, t, serve(t, s), walk.Login{Community: community}, lim, table); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestMutatedAnswers changes bytes of good answers; whatever comes of it, the next session works.
func TestMutatedAnswers(t *testing.T) {
	random := testenv.Rand(t)
	var tame atomic.Bool
	s := &snmptest.Switch{Change: func(_ *gosnmp.SnmpPacket, answer []byte) [][]byte {
		if tame.Load() {
			return [][]byte{answer}
		}
		for range 1 + random.IntN(6) {
			switch i := random.IntN(len(answer)); random.IntN(4) {
			case 0:
				answer[i] ^= 1 << random.IntN(8)
			case 1:
				answer[i] = byte(random.Uint32())
			case 2:
				answer = append(answer[:i+1], answer[random.IntN(len(answer)):]...)
			case 3:
				answer = slices.Insert(answer, i, 0x84, 0xff, 0xff, 0xff, 0xff)
			}
		}
		return [][]byte{answer}
	}}
	to := serve(t, s)
	lim := short
	lim.Timeout, lim.Retries = 10*time.Millisecond, 0
	failed := 0
	for range testenv.Times(t, 3000) {
		rows, err := read(t.Context(), t, to, walk.Login{Community: community}, lim, table)
		if err != nil {
			failed++
		}
		if len(rows) > lim.Rows+1 {
			t.Fatalf("%d rows", len(rows))
		}
	}
	if failed == 0 {
		t.Error("no mutation was noticed")
	}
	tame.Store(true)
	if rows, err := read(t.Context(), t, to, walk.Login{Community: community}, limits, table); err != nil || len(rows) != 35 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

// TestMutatedAnswersOfVersion3 sends back what was asked, changed: headers, engine ids and parameters of version 3.
func TestMutatedAnswersOfVersion3(t *testing.T) {
	random := testenv.Rand(t)
	conn := snmptest.Listen(t, "127.0.0.1:0")
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 65536)
		for {
			n, from, err := conn.ReadFromUDP(buf)
			if err != nil {
				return
			}
			for range 1 + random.IntN(4) {
				buf[random.IntN(n)] = byte(random.Uint32())
			}
			conn.WriteToUDP(buf[:n-random.IntN(2)*random.IntN(n)], from)
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	l := walk.Login{User: "u", AuthProtocol: "SHA", AuthPassword: "password", PrivProtocol: "AES", PrivPassword: "password"}
	lim := short
	lim.Timeout, lim.Retries = 10*time.Millisecond, 0
	for range testenv.Times(t, 300) {
		if rows, err := read(t.Context(), t, conn.LocalAddr().(*net.UDPAddr).AddrPort(), l, lim, table); err == nil || len(rows) > 0 {
			t.Fatalf("an answer that is not the user's is believed: %v", rows)
		}
	}
}

// FuzzAnswer is an answer of any bytes, behind a right header when the first is even.
func FuzzAnswer(f *testing.F) {
	var next atomic.Pointer[[]byte]
	s := &snmptest.Switch{Change: func(r *gosnmp.SnmpPacket, good []byte) [][]byte {
		answer := *next.Load()
		if len(answer) > 0 && answer[0]%2 == 0 {
			head := slices.Index(good, byte(gosnmp.GetResponse))
			return [][]byte{append(good[:head:head], answer[1:]...)}
		}
		return [][]byte{answer}
	}}
	to := serve(f, s)
	lim := short
	lim.Timeout, lim.Retries = 10*time.Millisecond, 0
	for _, one := range build(&gosnmp.SnmpPacket{}, 0, integer(table+".1")) {
		f.Add(append([]byte{1}, one...))
		f.Add(append([]byte{0}, one[slices.Index(one, byte(gosnmp.GetResponse)):]...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		next.Store(&data)
		rows, _ := read(t.Context(), t, to, walk.Login{Community: community}, lim, table)
		if len(rows) > lim.Rows+1 {
			t.Fatalf("%d rows", len(rows))
		}
	})
}
