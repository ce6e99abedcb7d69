package agent

import (
	"context"
	"strconv"

	"github.com/luna-hpc/luna/services/agent/internal/report"
)

// labels is the step that a system without SELinux does not have.
const labels = "install.selinux"

// label loads the installed system's SELinux policy and labels its files. Only a system whose policy is enforced cannot
// start without.
func (t *tool) label(ctx context.Context) error {
	policy, err := t.system.Policy()
	if err != nil || !policy.On() {
		return err
	}
	err = t.report.Step(ctx, labels, "load_policy and setfiles in "+t.root, func(ctx context.Context) (report.Result, error) {
		r, err := t.system.Label(ctx, policy)
		files := "all"
		if !r.Whole {
			files = strconv.Itoa(r.Files)
		}
		return report.Result{Values: map[string]string{"policy": policy.String(), "files": files}}, err
	})
	if err != nil && !policy.Enforcing {
		t.log.Warn("the installed system starts without SELinux labels", "err", err)
		return nil
	}
	return err
}
