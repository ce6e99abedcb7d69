package token_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/services/bootscript/internal/machine"
	"github.com/luna-hpc/luna/services/bootscript/internal/token"
)

const mac = "52:54:00:00:00:01"

var (
	start  = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	claims = token.Claims{NodeID: "N1", MAC: mac, BootID: "01JTBOOT", Expires: start.Add(token.Lifetime)}
	here   = netip.MustParseAddr("10.30.0.1")
	self   = machine.Parse("|" + mac)
)

func key(t *testing.T) []byte {
	t.Helper()
	k := make([]byte, 32)
	rand.Read(k)
	return k
}

func TestTokenProvesItsBootOnly(t *testing.T) {
	k := key(t)
	word := token.Mint(k, claims)
	if got, err := token.Check(k, word, "N1", strings.ToUpper(mac), start); err != nil || got.BootID != claims.BootID {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, other := range []time.Duration{time.Minute, -time.Minute} { // heads' clocks differ a little
		if err := check(k, word, "N1", mac, start.Add(other)); err != nil {
			t.Errorf("a clock that is %v off: %v", other, err)
		}
	}
	forged := "01JTBOOU" + word[len(claims.BootID):]
	longer := strings.Replace(word, ".", ".1", 1)
	for name, err := range map[string]error{
		"another node":  check(k, word, "N2", mac, start),
		"another MAC":   check(k, word, "N1", "52:54:00:00:00:02", start),
		"another boot":  check(k, forged, "N1", mac, start),
		"later expiry":  check(k, longer, "N1", mac, start),
		"another key":   check(key(t), word, "N1", mac, start),
		"too old":       check(k, word, "N1", mac, claims.Expires),
		"an hour later": check(k, word, "N1", mac, start.Add(time.Hour)),
		"an hour early": check(k, word, "N1", mac, start.Add(-time.Hour)),
		"a day later":   check(k, word, "N1", mac, start.Add(24*time.Hour)),
		"a day early":   check(k, word, "N1", mac, start.Add(-24*time.Hour)),
		"empty":         check(k, "", "N1", mac, start),
		"dots":          check(k, "..", "N1", mac, start),
		"no signature":  check(k, word[:strings.LastIndex(word, ".")+1], "N1", mac, start),
		"half of it":    check(k, word[:len(word)/2], "N1", mac, start),
		"one word more": check(k, word+".x", "N1", mac, start),
	} {
		if !errors.Is(err, token.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func check(k []byte, word, node, mac string, now time.Time) error {
	_, err := token.Check(k, word, node, mac, now)
	return err
}

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func TestExchangeArmsOnceAndNotForLong(t *testing.T) {
	c := &clock{start}
	x := token.NewExchanges(c.now)
	note := func() { x.Note(token.Exchange{MAC: mac, Address: here, At: c.at}) }
	if x.Take(mac, here) {
		t.Error("armed without an exchange")
	}
	note()
	if x.Take(mac, here.Next()) {
		t.Error("armed for another address")
	}
	if x.Take("52:54:00:00:00:02", here) {
		t.Error("armed for another machine")
	}
	if got, ok := x.Find(self, here); !ok || got != mac {
		t.Error("fresh exchange is not found")
	}
	if !x.Take(mac, here) || x.Take(mac, here) {
		t.Error("an exchange did not arm exactly once")
	}
	note()
	c.at = c.at.Add(token.Fresh)
	if _, ok := x.Find(self, here); ok || x.Take(mac, here) {
		t.Error("armed by an old exchange")
	}
	x.Note(token.Exchange{MAC: mac, Address: here, At: c.at.Add(time.Hour)})
	if x.Take(mac, here) {
		t.Error("armed by an exchange of the future")
	}
}

func TestListenerHearsDatagrams(t *testing.T) {
	x := token.NewExchanges(time.Now)
	path := filepath.Join(t.TempDir(), "ipxe.sock")
	if err := os.WriteFile(path, nil, 0o600); err != nil { // left by a killed process
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- token.Listener{Path: path, Exchanges: x, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}.Run(ctx)
	}()
	conn := dial(t, path)
	defer conn.Close()
	good, _ := json.Marshal(map[string]any{"mac": mac, "address": "10.30.0.1", "at": time.Now()})
	for _, datagram := range []string{"", "{", `{"mac":"x","address":"10.30.0.1","at":"2026-05-01T12:00:00Z"}`, `{"mac":"` + mac + `"}`, string(good)} {
		if _, err := conn.Write([]byte(datagram)); err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.After(10 * time.Second)
	for !x.Take(mac, here) {
		select {
		case <-deadline:
			t.Fatal("the exchange was not heard")
		case <-time.After(5 * time.Millisecond):
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Fatal("the socket stays")
	}
}

func dial(t *testing.T, path string) net.Conn {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		conn, err := net.Dial("unixgram", path)
		if err == nil {
			return conn
		}
		select {
		case <-deadline:
			t.Fatal(err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func FuzzParseExchange(f *testing.F) {
	f.Add([]byte(`{"mac":"52:54:00:00:00:01","address":"10.30.0.1","at":"2026-05-01T12:00:00Z"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := token.ParseExchange(data)
		if _, ok := machine.ParseMAC(e.MAC); err == nil && (!ok || !e.Address.IsValid() || e.At.IsZero()) {
			t.Fatalf("%+v", e)
		}
	})
}
