package report

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	bootscript "github.com/luna-hpc/luna/proto/bootscript/v1"
	"github.com/luna-hpc/luna/services/agent/internal/head"
)

// office is a head that can be away.
type office struct {
	mu   sync.Mutex
	away bool
	deny string
	got  []*bootscript.Report
}

func (o *office) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	report := &bootscript.Report{}
	if r.URL.Query().Get("step") == "hardware" && !o.away {
		found := &bootscript.Hardware{}
		if err := protojson.Unmarshal(body, found); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
		o.got = append(o.got, &bootscript.Report{Name: found.GetBootId() + " has " + found.GetProduct()})
		return
	}
	switch err := protojson.Unmarshal(body, report); {
	case o.away:
		panic(http.ErrAbortHandler)
	case err != nil || report.GetName() == o.deny:
		http.Error(w, "no such step", http.StatusConflict)
	default:
		o.got = append(o.got, report)
		io.WriteString(w, "ok")
	}
}

func (o *office) set(away bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.away = away
}

// heard returns the names and states of the reports in the order of their coming.
func (o *office) heard() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var words []string
	for _, r := range o.got {
		words = append(words, r.GetName()+" "+strings.TrimPrefix(r.GetState().String(), "STATE_"))
	}
	return strings.Join(words, ", ")
}

func reporter(t *testing.T, o *office) (*Reporter, *bytes.Buffer) {
	t.Helper()
	server := httptest.NewServer(o)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL + "/luna")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	now := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	return &Reporter{
		Spool: Spool{Dir: t.TempDir() + "/spool"}, Boot: "boot1", Head: head.New(u, nil, "node001", ""),
		Log: slog.New(slog.NewTextHandler(&log, nil)),
		Now: func() time.Time { now = now.Add(time.Second); return now },
	}, &log
}

func TestStepsReachTheHead(t *testing.T) {
	o := &office{}
	r, _ := reporter(t, o)
	err := r.Step(t.Context(), "install.unpack", "unpack", func(context.Context) (Result, error) {
		return Result{Values: map[string]string{"files": "3"}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	bad := errors.New("exit status 2")
	err = r.Step(t.Context(), "install.postscript", "bash post.sh", func(context.Context) (Result, error) {
		return Result{Output: "last\nlines\n"}, bad
	})
	if !errors.Is(err, bad) {
		t.Errorf("step gave %v", err)
	}
	if want := "install.unpack STARTED, install.unpack OK, install.postscript STARTED, install.postscript FAILED"; o.heard() != want {
		t.Fatalf("heard %s", o.heard())
	}
	ok, failed := o.got[1], o.got[3]
	if ok.GetValues()["files"] != "3" || ok.GetBootId() != "boot1" || ok.GetSeconds() == 0 || ok.GetTime() != "2024-01-02T03:04:09Z" || ok.GetTried() != "unpack" {
		t.Errorf("got %v", ok)
	}
	if failed.GetError() != "exit status 2" || failed.GetOutput() != "last\nlines\n" || failed.GetId() == ok.GetId() || failed.GetId() == "" {
		t.Errorf("got %v", failed)
	}
}

func TestNoStepIsLostWhileTheHeadIsAway(t *testing.T) {
	o := &office{}
	r, log := reporter(t, o)
	r.Started(t.Context(), "one", "")
	o.set(true)
	r.Started(t.Context(), "two", "")
	r.Started(t.Context(), "three", "")
	if o.heard() != "one STARTED" || !strings.Contains(log.String(), "the head does not hear") {
		t.Fatalf("heard %s, logged %s", o.heard(), log)
	}
	if n, err := r.Spool.Waiting(); n != 2 || err != nil {
		t.Errorf("%d wait, %v", n, err)
	}
	o.set(false)
	r.Started(t.Context(), "four", "")
	if want := "one STARTED, two STARTED, three STARTED, four STARTED"; o.heard() != want {
		t.Errorf("heard %s", o.heard())
	}
}

func TestHardwareWaitsInItsTurn(t *testing.T) {
	o := &office{away: true}
	r, _ := reporter(t, o)
	r.Started(t.Context(), "one", "")
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	r.Hardware(stopped, &bootscript.Hardware{Product: "a crate"})
	o.set(false)
	r.Started(t.Context(), "two", "")
	if want := "one STARTED, boot1 has a crate UNSPECIFIED, two STARTED"; o.heard() != want {
		t.Errorf("heard %s", o.heard())
	}
}

func TestDamagedLetterDoesNotHoldUpTheOthers(t *testing.T) {
	o := &office{}
	r, log := reporter(t, o)
	for _, bad := range []string{"", "{", "{}", `{"step":1}`, `{"hardware":"x"}`} {
		if err := r.Spool.Add([]byte(bad)); err != nil {
			t.Fatal(err)
		}
	}
	r.Started(t.Context(), "two", "")
	if o.heard() != "two STARTED" || strings.Count(log.String(), "damaged") != 5 {
		t.Errorf("heard %s, logged %s", o.heard(), log)
	}
}

func TestRefusedReportDoesNotHoldUpTheOthers(t *testing.T) {
	o := &office{deny: "two"}
	r, log := reporter(t, o)
	for _, name := range []string{"one", "two", "three"} {
		r.Started(t.Context(), name, "")
	}
	if want := "one STARTED, three STARTED"; o.heard() != want {
		t.Errorf("heard %s", o.heard())
	}
	if !strings.Contains(log.String(), "no such step") {
		t.Errorf("logged %s", log)
	}
}

func TestAnotherProcessDrains(t *testing.T) {
	o := &office{}
	r, _ := reporter(t, o)
	nudged := 0
	r.Nudge = func(context.Context) bool { nudged++; return true }
	r.Started(t.Context(), "one", "")
	if o.heard() != "" || nudged != 1 {
		t.Errorf("heard %q, nudged %d times", o.heard(), nudged)
	}
	if err := r.Flush(t.Context()); err != nil || o.heard() != "one STARTED" {
		t.Errorf("heard %q, %v", o.heard(), err)
	}
}

func TestReportOfAStoppedStepIsSent(t *testing.T) {
	o := &office{}
	r, _ := reporter(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	_ = r.Step(ctx, "install.download", "", func(ctx context.Context) (Result, error) {
		cancel()
		return Result{}, ctx.Err()
	})
	if want := "install.download STARTED, install.download FAILED"; o.heard() != want {
		t.Errorf("heard %s", o.heard())
	}
}

func TestSpoolKeepsTheOrderOfManyWriters(t *testing.T) {
	s := Spool{Dir: t.TempDir() + "/spool"}
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := range 20 {
				if err := s.Add(fmt.Appendf(nil, "%d %02d", w, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	var got []string
	if err := s.Drain(func(p []byte) error { got = append(got, string(p)); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 160 {
		t.Fatalf("%d reports came out", len(got))
	}
	slices.SortStableFunc(got, func(a, b string) int { return strings.Compare(a[:1], b[:1]) })
	if !slices.IsSorted(got) {
		t.Error("a writer's reports came out in another order")
	}
}

func TestSpoolIsDrainedByOne(t *testing.T) {
	s := Spool{Dir: t.TempDir()}
	if err := s.Add([]byte("a")); err != nil {
		t.Fatal(err)
	}
	var got []string
	err := s.Drain(func(p []byte) error {
		got = append(got, string(p))
		if err := s.Add([]byte("b")); len(got) == 1 && err != nil {
			t.Error(err)
		}
		if len(got) > 1 {
			return errors.New("enough")
		}
		return s.Drain(func([]byte) error { t.Error("a second one drains"); return nil })
	})
	if err == nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestSpoolNumbersGoOnAfterADrain(t *testing.T) {
	s := Spool{Dir: t.TempDir()}
	for range 3 {
		if err := s.Add([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if err := s.Drain(func([]byte) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if last, err := os.ReadFile(s.Dir + "/last"); err != nil || string(last) != "3" {
		t.Errorf("last is %q, %v", last, err)
	}
}

func TestSpoolDropsWhatCameAfterAMark(t *testing.T) {
	s := Spool{Dir: t.TempDir()}
	mark := 0
	for i, text := range []string{"a", "b", "c", "d"} {
		if i == 2 {
			var err error
			if mark, err = s.Mark(); err != nil || mark != 2 {
				t.Fatalf("mark %d, %v", mark, err)
			}
		}
		if err := s.Add([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Drop(mark); err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := s.Drain(func(p []byte) error { got = append(got, string(p)); return nil }); err != nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("left are %q, %v", got, err)
	}
}

func TestSpoolIsBounded(t *testing.T) {
	s := Spool{Dir: t.TempDir()}
	for range limit {
		if err := s.Add([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Add([]byte("x")); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}
