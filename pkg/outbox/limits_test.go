package outbox_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/testenv"
)

// leases returns n entries of other strangers each, with a body of a size.
func leases(n, size int) (all []outbox.Entry) {
	for i := range n {
		all = append(all, outbox.Entry{Subject: subject.Lease(fmt.Sprintf("%012x", i)), Data: []byte(strings.Repeat("x", size)), TTL: time.Hour})
	}
	return all
}

// follow runs an outbox until the test ends.
func follow(t *testing.T, o *outbox.Outbox) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- o.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// until waits for a condition.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for limit := time.After(40 * time.Second); !is(); {
		select {
		case <-limit:
			t.Fatalf("not in time: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// storedOnce wants n messages in the stream of leases, and that there never
// were more; lost is how many the server began to write and could not.
func storedOnce(t *testing.T, c *bus.Conn, n, lost uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s, err := c.JS.Stream(ctx, subject.Seen)
	if err != nil {
		t.Fatal(err)
	}
	if st := s.CachedInfo().State; st.Msgs != n || st.LastSeq < n || st.LastSeq > n+lost {
		t.Errorf("%d messages, the last is %d, not %d", st.Msgs, st.LastSeq, n)
	}
}

// TestFactsOutliveAFullDiskOfTheBus has the bus store nothing for a while.
func TestFactsOutliveAFullDiskOfTheBus(t *testing.T) {
	disk := testenv.SmallDisk(t, "32m")
	srv := natstest.StartOn(t, disk.Dir)
	o := open(t, filepath.Join(t.TempDir(), "outbox.db"), srv.Connect(t, "dhcp"), nil)
	disk.Fill(0)
	follow(t, o)
	if err := o.Put(leases(5, 5000)...); err != nil {
		t.Fatal(err)
	}
	until(t, "the outbox says that it is stuck", func() bool { return o.Stuck() != nil })
	if w := o.Warnings(); o.Len() != 5 || len(w) != 1 || !strings.Contains(w[0], "5 entries wait") || !strings.Contains(w[0], "is its disk full?") {
		t.Errorf("%d entries, %q", o.Len(), w)
	}
	disk.Clear()
	srv.Restart(t, nil)
	until(t, "the bus has all", func() bool { return o.Len() == 0 && o.Stuck() == nil })
	storedOnce(t, srv.Connect(t, "test"), 5, 1)
}

// TestFactsWaitForRoomInAFullStream has a stream at its limit, which is raised later.
func TestFactsWaitForRoomInAFullStream(t *testing.T) {
	c := natstest.Start(t).Connect(t, "dhcp")
	limit := func(bytes int64) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s, err := c.JS.Stream(ctx, subject.Seen)
		if err != nil {
			t.Fatal(err)
		}
		cfg := s.CachedInfo().Config
		cfg.MaxBytes = bytes
		if _, err := c.JS.UpdateStream(ctx, cfg); err != nil {
			t.Fatal(err)
		}
	}
	limit(3000)
	o := open(t, filepath.Join(t.TempDir(), "outbox.db"), c, nil)
	reg := prometheus.NewRegistry()
	o.Collect(reg)
	follow(t, o)
	if err := o.Put(leases(10, 500)...); err != nil {
		t.Fatal(err)
	}
	until(t, "the outbox says that it is stuck", func() bool { return o.Stuck() != nil })
	waiting := o.Len()
	for _, part := range []string{fmt.Sprintf("%d entries wait", waiting), "stream SEEN is full", "3000 bytes (max_bytes)"} {
		if w := o.Warnings(); len(w) != 1 || !strings.Contains(w[0], part) {
			t.Errorf("%q says nothing of %q", w, part)
		}
	}
	if waiting == 0 || waiting == 10 {
		t.Errorf("%d of 10 entries wait", waiting)
	}
	families, err := reg.Gather()
	if err != nil || len(families) != 2 {
		t.Fatalf("%d figures, %v", len(families), err)
	}
	if n, fails := families[0].Metric[0].Gauge.GetValue(), families[1].Metric[0].Counter.GetValue(); int(n) != waiting || fails == 0 {
		t.Errorf("the figures say that %v wait after %v failures", n, fails)
	}
	limit(-1)
	until(t, "the bus has all", func() bool { return o.Len() == 0 && o.Stuck() == nil })
	storedOnce(t, c, 10, 0)
}

// TestFullDiskRefusesFacts has no room for the outbox itself.
func TestFullDiskRefusesFacts(t *testing.T) {
	disk := testenv.SmallDisk(t, "16m")
	path := filepath.Join(disk.Dir, "outbox.db")
	srv := natstest.Start(t)
	o := open(t, path, srv.Connect(t, "dhcp"), nil)
	all := leases(200, 20000)
	if err := o.Put(all[:3]...); err != nil {
		t.Fatal(err)
	}
	disk.Fill(0)
	if err := o.Put(all[3:]...); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("a full disk takes 4 MB: %v", err)
	}
	if o.Len() != 3 {
		t.Errorf("%d entries, not the 3 that were kept", o.Len())
	}
	disk.Clear()
	if err := o.Put(all[3:]...); err != nil {
		t.Fatalf("there is room again: %v", err)
	}
	follow(t, o)
	until(t, "the bus has all", func() bool { return o.Len() == 0 })
	storedOnce(t, srv.Connect(t, "test"), 200, 0)
}

// TestAcknowledgedFactIsNotSentAgain has no room to remove what the bus has.
func TestAcknowledgedFactIsNotSentAgain(t *testing.T) {
	disk := testenv.SmallDisk(t, "16m")
	srv := natstest.Start(t)
	acked := make(chan struct{})
	release := make(chan struct{})
	o := open(t, filepath.Join(disk.Dir, "outbox.db"), srv.Connect(t, "dhcp"), func(context.Context, string, uint64) error {
		close(acked) // panics when the entry is sent twice
		<-release
		return nil
	})
	if err := o.Put(leases(1, 100)...); err != nil {
		t.Fatal(err)
	}
	follow(t, o)
	<-acked
	disk.Fill(0)
	close(release)
	until(t, "the entry is removed, or waits to be", func() bool { return o.Len() == 0 || o.Stuck() != nil })
	t.Logf("on the full disk: %d entries, %v", o.Len(), o.Stuck())
	disk.Clear()
	until(t, "the entry is removed", func() bool { return o.Len() == 0 })
	storedOnce(t, srv.Connect(t, "test"), 1, 0)
}
