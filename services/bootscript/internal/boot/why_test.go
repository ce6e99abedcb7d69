package boot_test

import (
	"testing"
	"time"

	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
	"github.com/luna-hpc/luna/services/bootscript/internal/boot"
)

var start = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

const (
	started = bootscriptv1.State_STATE_STARTED
	ok      = bootscriptv1.State_STATE_OK
	failed  = bootscriptv1.State_STATE_FAILED
)

type said struct {
	name  string
	state bootscriptv1.State
}

// tale makes the steps of a boot, ten seconds apart.
func tale(all ...said) []*bootscriptv1.Step {
	var steps []*bootscriptv1.Step
	for i, s := range all {
		r := &bootscriptv1.Report{Name: s.name, State: s.state}
		if s.state == failed {
			r.Error = "exit status 1"
		}
		steps = append(steps, &bootscriptv1.Step{BootId: "B", Node: "node001", Head: "h", N: uint64(i), Osimage: "compute", Report: r,
			Time: start.Add(time.Duration(i) * 10 * time.Second).Format(time.RFC3339Nano)})
	}
	return steps
}

func TestWhy(t *testing.T) {
	begin := []said{{boot.Request, ok}, {boot.Discovery, ok}, {"agent.start", ok}}
	for name, c := range map[string]struct {
		said      []said
		after     time.Duration
		ok        bool
		good, bad string
		summary   string
	}{
		"never": {summary: "node001 never asked for a boot"},
		"booted": {said: append(begin, said{boot.Success, ok}), ok: true, good: boot.Success,
			summary: "node001 booted compute at 2026-05-01T12:00:30Z, 30s after it asked"},
		"under way": {said: append(begin, said{"install.download", started}), after: time.Minute, good: "agent.start",
			summary: "node001 does step install.download since 2026-05-01T12:00:30Z"},
		"frozen in a step": {said: append(begin, said{"install.download", started}), after: time.Hour, good: "agent.start",
			summary: "node001 began step install.download and was not heard again: last heard at 2026-05-01T12:00:30Z, 59m30s ago"},
		"between steps": {said: begin, after: time.Minute, good: "agent.start",
			summary: "node001 is booting: last heard after step agent.start at 2026-05-01T12:00:20Z"},
		"service mode": {said: append(begin, said{boot.Service, ok}), after: time.Hour, ok: true, good: boot.Service,
			summary: "node001 waits in service mode since 2026-05-01T12:00:30Z, its disks are untouched"},
		"service mode without ssh": {said: append(begin, said{"agent.sshd", failed}, said{boot.Service, ok}), after: time.Hour, good: "agent.start", bad: "agent.sshd",
			summary: "node001 fails in step agent.sshd since 2026-05-01T12:00:30Z: exit status 1; last good step: agent.start"},
		"went silent": {said: begin, after: time.Hour, good: "agent.start",
			summary: "node001 stopped without saying so: last heard after step agent.start at 2026-05-01T12:00:20Z, 59m40s ago"},
		"fails": {said: append(begin, said{"install.partscript", started}, said{"install.partscript", failed}, said{boot.AgentFailed, failed}), good: "agent.start", bad: "install.partscript",
			summary: "node001 fails in step install.partscript since 2026-05-01T12:00:40Z: exit status 1; last good step: agent.start"},
		"failed once, then well": {said: append(begin, said{"install.partscript", failed}, said{boot.AgentFailed, failed}, said{"install.partscript", ok}, said{boot.AgentFailed, ok}), good: boot.AgentFailed, after: time.Minute,
			summary: "node001 is booting: last heard after step agent.failed at 2026-05-01T12:01:00Z"},
		"only the agent says so": {said: append(begin, said{boot.AgentFailed, failed}), good: "agent.start", bad: boot.AgentFailed,
			summary: "node001 fails in step agent.failed since 2026-05-01T12:00:30Z: exit status 1; last good step: agent.start"},
		"nothing to boot": {said: []said{{boot.Request, ok}, {boot.Discovery, failed}}, good: boot.Request, bad: boot.Discovery,
			summary: "node001 fails in step boot.discovery since 2026-05-01T12:00:10Z: exit status 1; last good step: boot.request"},
	} {
		v := boot.Why("node001", tale(c.said...), start.Add(c.after))
		if v.OK != c.ok || v.LastGood.GetReport().GetName() != c.good || v.FirstBad.GetReport().GetName() != c.bad || v.Summary != c.summary {
			t.Errorf("%s: ok %v, good %s, bad %s\n got %s\nwant %s", name, v.OK, v.LastGood.GetReport().GetName(), v.FirstBad.GetReport().GetName(), v.Summary, c.summary)
		}
	}
}
