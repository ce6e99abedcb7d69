package agent

import (
	"context"
	"time"

	"github.com/luna-hpc/luna/services/agent/internal/report"
	"github.com/luna-hpc/luna/services/agent/internal/sysroot"
)

// finish has the installed system started as soon as the script has ended.
func (t *tool) finish(ctx context.Context, args []string) error {
	const name = "install.success"
	begin := time.Now()
	err := none(args)
	if err == nil {
		err = sysroot.Ready(t.root, t.line.Init)
	}
	if err == nil {
		err = t.call(ctx, "finish", nil, nil)
	}
	t.report.Ended(ctx, name, time.Since(begin), report.Result{Tried: t.line.Init + " in " + t.root}, err)
	return t.failed(name, err)
}
