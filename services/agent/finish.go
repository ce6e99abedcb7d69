package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	bootscript "github.com/luna-hpc/luna/proto/bootscript/v1"
	"github.com/luna-hpc/luna/services/agent/internal/hardware"
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
		if failed := t.label(ctx); failed != nil {
			return t.failed(labels, failed)
		}
		err = t.call(ctx, "finish", nil, nil)
	}
	result := report.Result{Tried: t.line.Init + " in " + t.root}
	if err == nil {
		// Before the step that ends the boot, and with it the token.
		result.Values = map[string]string{"host_keys": t.hostKeys(ctx)}
	}
	t.report.Ended(ctx, name, time.Since(begin), result, err)
	return t.failed(name, err)
}

// hostKeys tells the head the public host keys of the installed system and
// returns how many there are, or why that is not known: the system starts all
// the same.
func (t *tool) hostKeys(ctx context.Context) string {
	found, err := t.installed()
	if err != nil {
		t.log.Warn("the head does not hear the host keys", "err", err)
		return err.Error()
	}
	t.report.Hardware(ctx, found)
	return fmt.Sprint(len(found.HostKeys))
}

// installed returns the hardware that was found when the boot began, with the
// host keys of the installed system.
func (t *tool) installed() (found *bootscript.Hardware, err error) {
	tree, err := sysroot.Open(t.root)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	if found, err = hardware.Load(t.run); err != nil {
		return nil, err
	}
	found.Installed = true
	found.HostKeys, err = hardware.HostKeys(tree)
	return found, err
}
