package boot

import (
	"fmt"
	"slices"
	"time"

	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
)

// Names of steps that mean something here.
const (
	Request     = "boot.request"
	MACAssigned = "boot.mac_assigned"
	Discovery   = "boot.discovery"
	Success     = "install.success"
	AgentFailed = "agent.failed"
	Service     = "agent.service"
)

// quiet is after how long without a word a boot is said to have stopped.
const quiet = 2 * time.Minute

// Verdict is where a boot stands.
type Verdict struct {
	OK                 bool
	Summary            string
	LastGood, FirstBad *bootscriptv1.Step
}

// Why judges the steps of one boot of a node, given in the order of their times.
func Why(node string, steps []*bootscriptv1.Step, now time.Time) Verdict {
	if len(steps) == 0 {
		return Verdict{Summary: node + " never asked for a boot"}
	}
	first, last := steps[0], steps[len(steps)-1]
	if done := find(steps, Success, bootscriptv1.State_STATE_OK); done != nil {
		return Verdict{OK: true, LastGood: done, Summary: fmt.Sprintf("%s booted%s at %s, %s after it asked",
			node, named(" ", done.Osimage), clock(done), when(done).Sub(when(first)).Round(time.Second))}
	}
	if s := find(steps, Discovery, bootscriptv1.State_STATE_OK); s != nil && s.Report.Values["localboot"] == "yes" {
		return Verdict{OK: true, LastGood: s, Summary: fmt.Sprintf("%s was sent to its own disk at %s", node, clock(s))}
	}
	bad := firstBad(steps)
	good := lastGood(steps, bad)
	v := Verdict{LastGood: good, FirstBad: bad}
	age := max(0, now.Sub(when(last)).Round(time.Second)) // a clock may have gone back
	switch {
	case bad != nil:
		v.Summary = fmt.Sprintf("%s fails in step %s since %s%s%s", node, bad.Report.GetName(), clock(bad), named(": ", bad.Report.GetError()), named("; last good step: ", good.GetReport().GetName()))
	case find(steps, Service, bootscriptv1.State_STATE_OK) != nil:
		v.OK = true
		v.Summary = fmt.Sprintf("%s waits in service mode since %s, its disks are untouched", node, clock(find(steps, Service, bootscriptv1.State_STATE_OK)))
	case last.Report.GetState() == bootscriptv1.State_STATE_STARTED && age < quiet:
		v.Summary = fmt.Sprintf("%s does step %s since %s", node, last.Report.GetName(), clock(last))
	case last.Report.GetState() == bootscriptv1.State_STATE_STARTED:
		v.Summary = fmt.Sprintf("%s began step %s and was not heard again: last heard at %s, %s ago", node, last.Report.GetName(), clock(last), age)
	case age < quiet:
		v.Summary = fmt.Sprintf("%s is booting: last heard after step %s at %s", node, last.Report.GetName(), clock(last))
	default:
		v.Summary = fmt.Sprintf("%s stopped without saying so: last heard after step %s at %s, %s ago", node, last.Report.GetName(), clock(last), age)
	}
	return v
}

// firstBad returns the first failure that was not made good: nodes try again,
// so a step counts as failed while its newest report says so. agent.failed
// only repeats what another step said.
func firstBad(steps []*bootscriptv1.Step) *bootscriptv1.Step {
	newest := map[string]bootscriptv1.State{}
	for _, s := range steps {
		if s.Report.GetState() != bootscriptv1.State_STATE_STARTED {
			newest[s.Report.GetName()] = s.Report.GetState()
		}
	}
	var agent *bootscriptv1.Step
	for _, s := range steps {
		name := s.Report.GetName()
		if s.Report.GetState() != bootscriptv1.State_STATE_FAILED || newest[name] != bootscriptv1.State_STATE_FAILED {
			continue
		}
		if name != AgentFailed {
			return s
		}
		if agent == nil {
			agent = s
		}
	}
	return agent
}

// lastGood returns the last step that ended well before a bad one, or at all.
func lastGood(steps []*bootscriptv1.Step, bad *bootscriptv1.Step) *bootscriptv1.Step {
	if bad != nil {
		steps = steps[:slices.Index(steps, bad)]
	}
	for _, s := range slices.Backward(steps) {
		if s.Report.GetState() == bootscriptv1.State_STATE_OK {
			return s
		}
	}
	return nil
}

func find(steps []*bootscriptv1.Step, name string, state bootscriptv1.State) *bootscriptv1.Step {
	at := slices.IndexFunc(steps, func(s *bootscriptv1.Step) bool {
		return s.Report.GetName() == name && s.Report.GetState() == state
	})
	if at < 0 {
		return nil
	}
	return steps[at]
}

func named(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}

func clock(s *bootscriptv1.Step) string { return when(s).UTC().Format(time.RFC3339) }
