package agent

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bootscript "github.com/luna-hpc/luna/proto/bootscript/v1"
	"github.com/luna-hpc/luna/services/agent/internal/report"
	"github.com/luna-hpc/luna/services/agent/internal/selinux"
)

// listener hears reports.
type listener struct{ heard []*bootscript.Report }

func (l *listener) Report(_ context.Context, r *bootscript.Report) error {
	l.heard = append(l.heard, r)
	return nil
}

func (l *listener) Hardware(context.Context, *bootscript.Hardware) error { return nil }

// TestLabelIsAStep labels a system whose setfiles fails or not, with its policy enforced or not.
func TestLabelIsAStep(t *testing.T) {
	broken := errors.New("setfiles: exit status 255")
	for name, c := range map[string]struct {
		mode  string
		fails error
		steps string
		ends  string
	}{
		"well":               {"enforcing", nil, "install.selinux STARTED, install.selinux OK", ""},
		"badly":              {"enforcing", broken, "install.selinux STARTED, install.selinux FAILED", "exit status 255"},
		"badly and harmless": {"permissive", broken, "install.selinux STARTED, install.selinux FAILED", ""},
		"switched off":       {"disabled", broken, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			hears := &listener{}
			tool := labelling(t, hears, c.mode, c.fails)
			err := tool.label(t.Context())
			if (err == nil) != (c.ends == "") || err != nil && !strings.Contains(err.Error(), c.ends) {
				t.Errorf("got %v, want %q", err, c.ends)
			}
			var steps []string
			for _, r := range hears.heard {
				steps = append(steps, r.Name+" "+strings.TrimPrefix(r.State.String(), "STATE_"))
			}
			if got := strings.Join(steps, ", "); got != c.steps {
				t.Errorf("steps %s, want %s", got, c.steps)
			}
			if n := len(hears.heard); n > 0 && (hears.heard[n-1].Values["policy"] != c.mode+" (targeted)" || hears.heard[n-1].Values["files"] != "all") {
				t.Errorf("values %v", hears.heard[n-1].Values)
			}
		})
	}
}

// labelling is a command in a system whose SELinux is in a mode, and whose setfiles fails or not.
func labelling(t *testing.T, hears report.Sender, mode string, fails error) *tool {
	t.Helper()
	tool := &tool{root: t.TempDir(), log: slog.New(slog.DiscardHandler)}
	tool.report = &report.Reporter{Spool: report.Spool{Dir: t.TempDir()}, Head: hears, Log: tool.log, Now: time.Now}
	tool.system = &selinux.System{
		Root: tool.root, Kernel: func() bool { return true }, InMemory: func(string) (bool, error) { return true, nil },
		Attach: func(string) (func() error, error) { return func() error { return nil }, nil },
		Run: func(_ context.Context, _, _, name string, _ ...string) (string, error) {
			return "", map[string]error{"/usr/sbin/setfiles": fails}[name]
		},
	}
	for name, text := range map[string]string{
		"etc/selinux/config": "SELINUX=" + mode + "\n", "etc/selinux/targeted/policy/policy.33": "", "usr/sbin/setfiles": "", "usr/sbin/load_policy": "",
	} {
		path := filepath.Join(tool.root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	return tool
}
