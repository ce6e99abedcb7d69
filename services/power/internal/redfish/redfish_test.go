package redfish

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/services/power/internal/controller"
)

// do returns what an action found, or its error and kind.
func (b *bmc) do(t *testing.T, s Speaker, c controller.Controller, a controller.Action) string {
	t.Helper()
	s.Port = b.port()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	text, err := s.Do(ctx, c, a)
	if err != nil {
		return err.Error() + " (" + fault.KindOf(err).String() + ")"
	}
	return text
}

func TestActions(t *testing.T) {
	b := newBMC(t, (*httptest.Server).StartTLS)
	for _, step := range []struct {
		action     controller.Action
		want, seen string
	}{
		{controller.Status, "off", "Off [] 0"},
		{controller.Reset, "not done: it is off, and reset needs it on: luna power NODE on (conflict)", "Off [] 0"},
		{controller.Cycle, "not done: it is off, and cycle needs it on: luna power NODE on (conflict)", "Off [] 0"},
		{controller.Off, "switched off", "Off [] 0"},
		{controller.On, "switched on", "On [On] 0"},
		{controller.On, "switched on", "On [] 0"},
		{controller.Status, "on", "On [] 0"},
		{controller.Reset, "reset", "On [ForceRestart] 0"},
		{controller.Cycle, "switched off and on", "On [PowerCycle] 0"},
		{controller.Off, "switched off", "Off [ForceOff] 0"},
	} {
		got := b.do(t, Speaker{}, b.controller(), step.action)
		if seen := b.seen(); got != step.want || seen != step.seen {
			t.Errorf("%s: %s, then %s; want %s, then %s", step.action, got, seen, step.want, step.seen)
		}
	}
}

func TestLights(t *testing.T) {
	b := newBMC(t, (*httptest.Server).StartTLS)
	for _, c := range []struct {
		light   map[string]any
		on, off any
	}{
		{map[string]any{"LocationIndicatorActive": false}, true, false},
		{map[string]any{"IndicatorLED": "Off"}, "Blinking", "Off"},
	} {
		b.light = c.light
		for action, want := range map[controller.Action]any{controller.Identify: c.on, controller.Noidentify: c.off} {
			got := b.do(t, Speaker{}, b.controller(), action)
			for name, is := range b.light {
				if got != action.Done() || is != want {
					t.Errorf("%s: %s; %s is %v, not %v", action, got, name, is, want)
				}
			}
		}
	}
	b.light = nil
	if got := b.do(t, Speaker{}, b.controller(), controller.Identify); !strings.Contains(got, "has no light for this machine (conflict)") {
		t.Error(got)
	}
}

func TestACycleWithoutPowerCycleIsOffAndOn(t *testing.T) {
	b := newBMC(t, (*httptest.Server).StartTLS)
	b.allowed, b.power = []string{"ForceOn", "ForceOff", "On"}, "On"
	got := b.do(t, Speaker{}, b.controller(), controller.Cycle)
	if seen := b.seen(); got != "switched off and on" || seen != "On [ForceOff On] 0" {
		t.Error(got, seen)
	}
	got = b.do(t, Speaker{}, b.controller(), controller.Reset)
	if seen := b.seen(); !strings.Contains(got, "allows none of [ForceRestart] for reset (conflict)") || seen != "On [] 0" {
		t.Error(got, seen)
	}
}

func TestWrongPassword(t *testing.T) {
	b := newBMC(t, (*httptest.Server).StartTLS)
	c := b.controller()
	c.Password = "wr0ng-h0rse"
	got := b.do(t, Speaker{}, c, controller.On)
	if seen := b.seen(); got != "not done: the controller refuses user ladmin with this password: luna bmcsetup change base --user USER --password PASSWORD (conflict)" || seen != "Off [] 0" {
		t.Error(got, seen)
	}
}

// TestSlowService ends with the time-out, and knows whether the machine may have been switched.
func TestSlowService(t *testing.T) {
	for part, want := range map[string]string{
		"/redfish/v1/":         "not done: the controller does not answer",
		"/redfish/v1/Systems":  "not done: the controller does not answer",
		"ComputerSystem.Reset": "outcome unknown: the controller was told on and did not answer",
	} {
		b := newBMC(t, (*httptest.Server).StartTLS)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		given := make(chan struct{})
		b.before = func(_ http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, part) {
				return false
			}
			cancel() // the time is up while it thinks
			<-given
			return true
		}
		_, err := Speaker{Port: b.port()}.Do(ctx, b.controller(), controller.On)
		close(given)
		if fault.KindOf(err) != fault.Unavailable || err.Error() != want {
			t.Errorf("%s: %v, want %s", part, err, want)
		}
	}
}

func TestPlainHTTPIsSpokenWhenAllowed(t *testing.T) {
	b := newBMC(t, (*httptest.Server).Start)
	if got := b.do(t, Speaker{PlainPort: b.port()}, b.controller(), controller.Status); !strings.Contains(got, "does not speak TLS (redfish_http in power.yaml allows HTTP) (unavailable)") {
		t.Error(got)
	}
	if got := b.do(t, Speaker{Plain: true, PlainPort: b.port()}, b.controller(), controller.Status); got != "off" {
		t.Error(got)
	}
	tls := newBMC(t, (*httptest.Server).StartTLS)
	tls.do(t, Speaker{Plain: true, PlainPort: b.port()}, tls.controller(), controller.On)
	if tls.seen() != "On [On] 0" || b.seen() != "Off [] 0" {
		t.Error("HTTPS is not tried first")
	}
}

func TestWhatIsNoController(t *testing.T) {
	b := newBMC(t, (*httptest.Server).StartTLS)
	other := newBMC(t, (*httptest.Server).StartTLS)
	redirect := func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
		return true
	}
	reached := false
	other.before = func(http.ResponseWriter, *http.Request) bool { reached = true; return false }
	page := func(w http.ResponseWriter, _ *http.Request) bool { _, _ = w.Write([]byte("<html>")); return true }
	broken := func(w http.ResponseWriter, _ *http.Request) bool { failed(w, 500, "It is broken."); return true }
	for _, c := range []struct {
		before  func(http.ResponseWriter, *http.Request) bool
		systems int
		want    string
	}{
		{nil, 2, "not done: the controller is of 2 systems and not of one (conflict)"},
		{nil, 0, "not done: the controller is of 0 systems and not of one (conflict)"},
		{redirect, 1, "not done: the controller does not speak Redfish: "},
		{page, 1, "not done: the controller does not speak Redfish: "},
		{broken, 1, "not done: the controller answers 500 Internal Server Error: It is broken. (unavailable)"},
	} {
		b.before, b.systems = c.before, c.systems
		if got := b.do(t, Speaker{}, b.controller(), controller.On); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
	if reached {
		t.Error("user and password may have gone elsewhere")
	}
	b.before, b.systems = nil, 1
	b.allowed = []string{"On"}
	b.before = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "Reset") {
			failed(w, http.StatusConflict, "The chassis is open.")
		}
		return strings.HasSuffix(r.URL.Path, "Reset")
	}
	if got := b.do(t, Speaker{}, b.controller(), controller.On); got != "not done: the controller refuses on: 409 Conflict: The chassis is open. (conflict)" {
		t.Error(got)
	}
	nobody := b.controller()
	nobody.Address = netip.MustParseAddr("127.77.77.77")
	if got := b.do(t, Speaker{}, nobody, controller.Status); got != "not done: nothing listens for Redfish at the controller's address (unavailable)" {
		t.Error(got)
	}
}
