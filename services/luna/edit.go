package luna

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"

	"golang.org/x/term"

	"github.com/luna-hpc/luna/pkg/fault"
)

// edit returns a new text: what is piped in, or what $EDITOR made of the old one.
func (a *app) edit(ctx context.Context, what, old string) (string, error) {
	if f, ok := a.in.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		data, err := io.ReadAll(io.LimitReader(a.in, 1<<20))
		if err != nil {
			return "", fmt.Errorf("read standard input: %w", err)
		}
		return string(data), nil
	}
	f, err := os.CreateTemp("", "luna-"+what+"-*.sh")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	if _, err := f.WriteString(old); err != nil {
		return "", err
	}
	if err := f.Close(); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", env("EDITOR", "vi")+` "$1"`, "edit", f.Name())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fault.Invalidf("the editor failed, nothing was changed: %w", err)
	}
	data, err := os.ReadFile(f.Name())
	return string(data), err
}
