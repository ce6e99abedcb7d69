package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/services/agent/internal/boot"
)

// about tells what the boot process knows of this node.
func (t *tool) about(ctx context.Context, args []string) error {
	if err := none(args); err != nil {
		return err
	}
	return t.call(ctx, "about", nil, func(event json.RawMessage) error {
		text, err := boot.Text(event)
		if err == nil {
			_, err = fmt.Fprint(t.out, text)
		}
		return err
	})
}

// reboot starts the machine again; initrds have no program for it. It does so
// only where a boot process answers, which no installed system has.
func (t *tool) reboot(ctx context.Context, args []string) error {
	if err := none(args); err != nil {
		return err
	}
	if err := t.call(ctx, "about", nil, func(json.RawMessage) error { return nil }); err != nil {
		return fmt.Errorf("this is no initrd of Luna's, so the machine is not started again: %w", err)
	}
	unix.Sync()
	// What is mounted becomes read-only; a kernel without SysRq has to do with the sync.
	_ = os.WriteFile("/proc/sysrq-trigger", []byte("u"), 0)
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART); err != nil {
		return fmt.Errorf("start the machine again: %w", err)
	}
	return nil
}
