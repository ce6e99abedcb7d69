package pid1

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestMain is the boot process when the tests start it as that.
func TestMain(m *testing.M) {
	switch os.Getenv("LUNA_TEST_BOOT") {
	case "good":
		// An orphan that ends before the boot process does.
		_ = exec.Command("sh", "-c", "true & exit").Run()
		os.Exit(0)
	case "bad":
		os.Exit(3)
	case "dead":
		panic("a fault")
	}
	os.Exit(m.Run())
}

func TestBoot(t *testing.T) {
	for kind, want := range map[string]string{"good": "", "bad": "ended with status 3", "dead": "ended with status 2"} {
		t.Setenv("LUNA_TEST_BOOT", kind)
		i := &Init{Command: []string{"luna-agent", "boot"}, Log: slog.New(slog.DiscardHandler)}
		err := i.boot()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", kind, err, want)
		}
	}
}

func TestBecomeRefusesAMachineThatRuns(t *testing.T) {
	i := &Init{Root: t.TempDir(), Argv: []string{"/sbin/init"}, Log: slog.New(slog.DiscardHandler)}
	if err := i.become(); err == nil || !strings.Contains(err.Error(), "this is no initrd") {
		t.Errorf("got %v", err)
	}
}

func TestOthers(t *testing.T) {
	proc := t.TempDir()
	for name, line := range map[string]string{"17": "bash\x00-l\x00", "18": "@mdmon\x00md127\x00", "2": "", "self": "x", "19": "sshd\x00"} {
		if err := os.Mkdir(filepath.Join(proc, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(proc, name, "cmdline"), []byte(line), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := others(proc)
	slices.Sort(got)
	if !slices.Equal(got, []int{17, 19}) {
		t.Errorf("got %v", got)
	}
}
