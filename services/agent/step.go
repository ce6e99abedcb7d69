package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/agent/internal/payload"
	"github.com/luna-hpc/luna/services/agent/internal/report"
	"github.com/luna-hpc/luna/services/agent/internal/script"
	"github.com/luna-hpc/luna/services/agent/internal/sysroot"
)

// maxScript is the largest part of an install script, in bytes.
const maxScript = 4 << 20

// rootVariable is the environment variable that says what root the partscript must leave. It is no flag, so that
// agents that do not know it run the script all the same.
const rootVariable = "LUNA_ROOT"

// step runs one part of the install script, which stands on standard input.
func (t *tool) step(ctx context.Context, args []string) error {
	if len(args) != 1 || args[0] == "" || strings.Trim(args[0], "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
		return errors.New("step takes one name, as in: luna-agent step postscript < SCRIPT")
	}
	root, err := inventoryv1.ParseRoot(os.Getenv(rootVariable))
	if err != nil {
		return fmt.Errorf("%s: %w", rootVariable, err)
	}
	text, err := io.ReadAll(io.LimitReader(t.in, maxScript+1))
	if err != nil {
		return fmt.Errorf("read the script: %w", err)
	}
	if len(text) > maxScript {
		return fmt.Errorf("the script has more than %d bytes", maxScript)
	}
	path := filepath.Join(t.run, args[0]+".sh")
	if err := script.Save(path, text); err != nil {
		return err
	}
	name := "install." + args[0]
	return t.failed(name, t.report.Step(ctx, name, "bash "+path, func(ctx context.Context) (report.Result, error) {
		tail, err := script.Script{Path: path, Env: os.Environ(), Dir: "/", Out: t.out}.Run(ctx)
		if err == nil && args[0] == "partscript" {
			err = t.room(ctx, root)
		}
		return report.Result{Output: tail.String()}, err
	}))
}

// room checks that the partscript left the root that the group wants, with room for the image.
func (t *tool) room(ctx context.Context, root string) error {
	if err := sysroot.IsKind(t.root, root); err != nil {
		return fmt.Errorf("after the script %w", err)
	}
	space, err := sysroot.Measure(t.root)
	if err != nil {
		return fmt.Errorf("after the script %w", err)
	}
	if t.line.Unpacked() == "" {
		return nil
	}
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m, _, err := t.head.Manifest(ctx, t.line.Unpacked())
	if err != nil {
		// The payload's own check will tell.
		t.log.Warn("whether the image fits is not known yet", "err", err)
		return nil
	}
	_, err = payload.Fit(space, t.root, t.image(), m, t.held())
	return err
}
