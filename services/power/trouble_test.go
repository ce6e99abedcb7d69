package power

import (
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/subject"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
	powerv1 "github.com/luna-hpc/luna/proto/power/v1"
	"github.com/luna-hpc/luna/services/power/bmctest"
)

// silent is a rack with one node whose BMC hears and never answers.
func silent(t *testing.T, timeout time.Duration) (*rack, *natstest.Server, func() int) {
	t.Helper()
	srv := natstest.StartEmpty(t)
	cfg := Default()
	cfg.Timeout, cfg.IPMIPort = timeout, 16230 // no port for root only
	heard := bmctest.Dead(t, bmctest.Address(0), cfg.IPMIPort)
	r := furnish(t, cfg, func(user string) *bus.Conn { return srv.Connect(t, user) })
	r.compute("ipmi", bmctest.Address(0))
	return r, srv, heard
}

func TestNothingIsDoneWhileTheBusKeepsNothing(t *testing.T) {
	r, _, heard := silent(t, 2*time.Second)
	for _, stream := range []string{subject.Jobs, subject.Inventory} {
		if err := r.setup.JS.DeleteStream(r.ctx, stream); err != nil {
			t.Fatal(err)
		}
		_, err := r.begin("off", &powerv1.PowerRequest{Nodes: []string{"node001"}})
		if fault.KindOf(err) != fault.Unavailable || !strings.HasPrefix(err.Error(), "not done: the bus ") {
			t.Errorf("without %s: %v", stream, err)
		}
	}
	if heard() != 0 {
		t.Error("the controller was spoken to")
	}
}

func TestWrongRequestsAreRefused(t *testing.T) {
	r, _, heard := silent(t, 2*time.Second)
	hour := uint32(time.Hour / time.Millisecond)
	for want, req := range map[string]*powerv1.PowerRequest{
		"which nodes?":             {},
		"at most 1024 controllers": {All: true, Limit: 1025},
		"it must be 1m0s or less":  {All: true, Stagger: &hour},
	} {
		if _, err := r.begin("on", req); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", req, err)
		}
	}
	if heard() != 0 {
		t.Error("the controller was spoken to")
	}
}

func TestAJobThatEndsWithoutTheBusIsToldLater(t *testing.T) {
	r, srv, heard := silent(t, 2*time.Second)
	id, err := r.begin("on", &powerv1.PowerRequest{All: true})
	if err != nil {
		t.Fatal(err)
	}
	r.until("it is asked", func() bool { return heard() > 0 })
	srv.Restart(t, func() {
		r.until("it has ended", func() bool { return strings.Contains(r.log.String(), "msg=\"not done\"") })
	})
	r.want(text(r.job(id).Results), "node001: not done: the controller does not answer (unavailable)")
}

func TestAServiceThatStopsTellsWhatItDid(t *testing.T) {
	r, _, heard := silent(t, time.Minute)
	id, err := r.begin("on", &powerv1.PowerRequest{Nodes: []string{"node[001-002]"}})
	if err != nil {
		t.Fatal(err)
	}
	r.until("it is asked", func() bool { return heard() > 0 })
	r.stop()
	r.start()
	j := r.job(id)
	if j.State != jobv1.State_STATE_FAILED || j.ErrorCode != 503 || !strings.Contains(j.Error, "the service was stopped") {
		t.Error(j)
	}
	r.want(text(j.Results), "node002: there is no such node (not found)\nnode001: not done: the controller does not answer (unavailable)")
}

func TestConfigurationIsChecked(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"limit":   func(c *Config) { c.Limit = 0 },
		"stagger": func(c *Config) { c.Stagger = time.Hour },
		"timeout": func(c *Config) { c.Timeout = 0 },
		"port":    func(c *Config) { c.RedfishPort = 70000 },
	} {
		c := Default()
		change(&c)
		if err := c.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if err := Default().check(); err != nil {
		t.Error(err)
	}
}
