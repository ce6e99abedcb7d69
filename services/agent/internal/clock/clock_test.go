package clock

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestCorrect(t *testing.T) {
	head := time.Unix(1700000000, 0)
	for _, c := range []struct {
		name string
		now  time.Time
		off  time.Duration
	}{
		{"right", head.Add(30 * time.Second), 0},
		{"a minute off is right", head.Add(-30 * time.Second), 0},
		{"behind", head.Add(-time.Hour), time.Hour + 30*time.Second},
		{"ahead", head.Add(time.Hour), -time.Hour + 30*time.Second},
		{"1970", time.Unix(0, 0), 1700000030 * time.Second},
	} {
		var set time.Time
		clock := Clock{
			Now:    func() time.Time { return c.now },
			Uptime: func() time.Duration { return 30 * time.Second },
			Set:    func(to time.Time) error { set = to; return nil },
		}
		off, err := clock.Correct(head)
		if err != nil || off != c.off {
			t.Errorf("%s: off %s, error %v", c.name, off, err)
		}
		if (c.off != 0) != set.Equal(head.Add(30*time.Second)) {
			t.Errorf("%s: set to %s", c.name, set)
		}
	}
}

func TestCorrectWithoutHeadTime(t *testing.T) {
	if off, err := (Clock{}).Correct(time.Time{}); off != 0 || err != nil {
		t.Errorf("off %s, error %v", off, err)
	}
}

func TestCorrectTellsWhatItTried(t *testing.T) {
	clock := Clock{
		Now:    func() time.Time { return time.Unix(0, 0) },
		Uptime: func() time.Duration { return 0 },
		Set:    func(time.Time) error { return errors.New("no") },
	}
	if _, err := clock.Correct(time.Unix(1700000000, 0)); err == nil || !strings.Contains(err.Error(), "2023-11-14T22:13:20Z: no") {
		t.Errorf("got %v", err)
	}
}
