package round

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/job"
	"github.com/luna-hpc/luna/pkg/wire"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
	"github.com/luna-hpc/luna/services/power/internal/controller"
	"github.com/luna-hpc/luna/services/power/internal/roster"
)

// speak is a speaker that is a function; the controller's user is the node's name.
type speak func(ctx context.Context, node string, a controller.Action) (string, error)

func (s speak) Do(ctx context.Context, c controller.Controller, a controller.Action) (string, error) {
	return s(ctx, c.User, a)
}

func entries(n int) []roster.Entry {
	all := make([]roster.Entry, n)
	for i := range all {
		name := fmt.Sprintf("node%04d", i+1)
		all[i] = roster.Entry{Node: name, Controller: controller.Controller{User: name, Password: "s3cret", Protocol: "ipmi", Setup: "base"}}
	}
	return all
}

// run asks and returns the results in the order in which they came.
func run(ctx context.Context, r Round, s speak, a controller.Action, es []roster.Entry) []*jobv1.Result {
	r.Speakers = map[string]controller.Speaker{"ipmi": s}
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
	var got []*jobv1.Result
	r.Run(ctx, a, es, func(res *jobv1.Result) { got = append(got, res) })
	return got
}

func TestADeadOneIsToldLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := speak(func(ctx context.Context, node string, _ controller.Action) (string, error) {
			if node == "node0001" {
				<-ctx.Done()
				return "", controller.Silent(ctx.Err())
			}
			return "on", nil
		})
		got := run(t.Context(), Round{Limit: 2, Timeout: time.Minute}, s, controller.Status, entries(50))
		if last := got[len(got)-1]; len(got) != 50 || last.Name != "node0001" || last.Error != "not done: the controller does not answer" || last.ErrorCode != 503 {
			t.Errorf("%d results, last %v", len(got), last)
		}
	})
}

func TestNoMoreThanTheLimitAreAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		busy, most := 0, 0
		s := speak(func(context.Context, string, controller.Action) (string, error) {
			mu.Lock()
			busy++
			most = max(most, busy)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			busy--
			mu.Unlock()
			return "on", nil
		})
		run(t.Context(), Round{Limit: 7, Timeout: time.Minute}, s, controller.On, entries(40))
		if most != 7 {
			t.Errorf("%d at once", most)
		}
	})
}

// TestStagger: the clock is the test's own.
func TestStagger(t *testing.T) {
	for action, want := range map[controller.Action]time.Duration{controller.On: 300, controller.Cycle: 300, controller.Status: 0, controller.Identify: 0} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			var last time.Duration
			s := speak(func(_ context.Context, node string, _ controller.Action) (string, error) {
				if node == "node0004" {
					last = time.Since(begin)
				}
				return "", nil
			})
			run(t.Context(), Round{Limit: 64, Timeout: time.Minute, Stagger: 100 * time.Millisecond}, s, action, entries(4))
			if last != want*time.Millisecond {
				t.Errorf("%s: the fourth was asked after %s", action, last)
			}
		})
	}
}

func TestAStopAsksNoMore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := speak(func(ctx context.Context, _ string, a controller.Action) (string, error) {
		cancel()
		<-ctx.Done()
		return "", controller.Unsure(a, ctx.Err())
	})
	got := run(ctx, Round{Limit: 1, Timeout: time.Minute}, s, controller.Off, entries(3))
	slices.SortFunc(got, func(a, b *jobv1.Result) int { return strings.Compare(a.Name, b.Name) })
	if len(got) != 3 || !strings.HasPrefix(got[0].Error, "outcome unknown") || got[1].Error != "not done: the service was stopped" || got[2].ErrorCode != 503 {
		t.Errorf("%v", got)
	}
}

func TestResultsTellNoPassword(t *testing.T) {
	var log bytes.Buffer
	s := speak(func(_ context.Context, node string, _ controller.Action) (string, error) {
		switch node {
		case "node0001":
			return "on \"s3cret\"\x00\n\\", nil
		case "node0002":
			return "", fault.Conflictf("not done: login of ladmin:s3cret failed")
		case "node0003":
			return "", errors.New("bug s3cret")
		}
		panic("s3cret")
	})
	es := append(entries(4), roster.Entry{Node: "x", Err: fault.NotFoundf("there is no such node")})
	es = append(es, roster.Entry{Node: "y", Controller: controller.Controller{Protocol: "telnet", Setup: "base"}})
	got := run(t.Context(), Round{Limit: 1, Timeout: time.Minute, Log: slog.New(slog.NewTextHandler(&log, nil))}, s, controller.Status, es)
	slices.SortFunc(got, func(a, b *jobv1.Result) int { return strings.Compare(a.Name, b.Name) })
	want := []string{"on '***'  /", "not done: login of ladmin:*** failed", "internal error; the service's log has the details",
		"internal error; the service's log has the details", "there is no such node",
		`not done: BMC set-up base has the unknown protocol 'telnet': luna bmcsetup change base --protocol ipmi`}
	for i, res := range got {
		if res.Text+res.Error != want[i] {
			t.Errorf("%s: %q, want %q", res.Name, res.Text+res.Error, want[i])
		}
	}
	if strings.Contains(log.String(), "s3cret") || !strings.Contains(log.String(), "bug ***") {
		t.Error(log.String())
	}
	if text := fmt.Sprintf("%v %+v %#v", es[0], es[0], es[0]); strings.Contains(text, "s3cret") {
		t.Error(text)
	}
}

// TestTheResultsOfTheMostNodesFitIntoAMessage whatever controllers send.
func TestTheResultsOfTheMostNodesFitIntoAMessage(t *testing.T) {
	s := speak(func(context.Context, string, controller.Action) (string, error) {
		return "", fault.Conflictf("%s", strings.Repeat("\"\\\x01\xffä", 500))
	})
	es := entries(roster.Most)
	for i := range es {
		es[i].Node += strings.Repeat("n", 50)
	}
	j := &jobv1.Job{Results: run(t.Context(), Round{Limit: 64, Timeout: time.Minute}, s, controller.Off, es)}
	data, err := wire.Marshal(j)
	if err != nil || len(j.Results) != roster.Most || len(data) > job.MaxBytes {
		t.Errorf("%d results, %d bytes, %v", len(j.Results), len(data), err)
	}
	few := run(t.Context(), Round{Limit: 64, Timeout: time.Minute}, s, controller.Off, es[:100])
	if len(few[0].Error) < 350 {
		t.Errorf("cut without need: %d bytes", len(few[0].Error))
	}
}
