package unknown_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/services/bootscript/internal/machine"
	"github.com/luna-hpc/luna/services/bootscript/internal/unknown"
)

type sink struct{ got []outbox.Entry }

func (s *sink) Put(e ...outbox.Entry) error { s.got = append(s.got, e...); return nil }

var from = netip.MustParseAddr("10.30.9.9")

func saw(t *testing.T, l *unknown.List, mac machine.MAC) {
	t.Helper()
	if err := l.Saw(mac, machine.Parse("PC|"+string(mac)), from, ""); err != nil {
		t.Fatal(err)
	}
}

func TestAMachineThatGoesOnAskingIsToldOfNowAndThen(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	out := &sink{}
	l := unknown.NewList(out, "h", func() time.Time { return now })
	for range 120 { // twenty minutes
		saw(t, l, "52:54:00:00:00:09")
		now = now.Add(10 * time.Second)
	}
	if len(out.got) != 2 {
		t.Fatalf("%d messages", len(out.got))
	}
	for _, e := range out.got {
		if e.TTL != unknown.Kept || e.Subject != subject.Unknown("525400000009") {
			t.Errorf("%+v", e)
		}
	}
}

func TestMadeUpMACsAreBounded(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	out := &sink{}
	l := unknown.NewList(out, "h", func() time.Time { return now })
	for i := range 5000 {
		saw(t, l, machine.MAC(fmt.Sprintf("52:54:00:00:%02x:%02x", i>>8, i&255)))
	}
	if len(out.got) != 1000 {
		t.Fatalf("%d messages", len(out.got))
	}
}
