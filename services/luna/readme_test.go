package luna_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/services/bootscript"
	"github.com/luna-hpc/luna/services/dns"
)

const (
	// inside is set in the namespaces that a test runs again in.
	inside   = "LUNA_TEST_ROOM"
	frontend = "10.30.255.254"
	kernver  = "3.10.0-327.10.1.el7.x86_64"
)

// lweb and ltorrent were the services of the original.
const otherUnits = "what lweb and ltorrent did, luna-bootscript and luna-torrent-seeder do"

// untyped are commands that a test cannot run, with the reason.
var untyped = map[string]string{
	"systemctl start lweb ltorrent":  otherUnits,
	"systemctl enable lweb ltorrent": otherUnits,
	"systemctl ltorrent start":       otherUnits,
	"systemctl lweb start":           otherUnits,
}

// TestReadmeWordForWord types the commands of the original's README where they
// find what they speak of: the head's address, and a directory with an image.
func TestReadmeWordForWord(t *testing.T) {
	testenv.Root(t)
	for _, program := range []string{"script", "curl", "wget", "ip", "go"} {
		testenv.Program(t, program)
	}
	if os.Getenv(inside) == "" {
		apart(t)
		return
	}
	for _, line := range []string{"ip link set lo up", "ip address add " + frontend + "/16 dev lo", "mount -t tmpfs tmpfs /opt"} {
		if out, err := exec.Command("sh", "-c", line).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
	plant(t, "/opt/luna/os/compute", kernver)
	commands, err := filepath.Abs("testdata/readme/commands.sh")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{Dir: "testdata/readme", Cmds: map[string]func(*testscript.TestScript, bool, []string){"typed": typed},
		Setup: func(env *testscript.Env) error {
			env.Setenv("COMMANDS", commands)
			return furnish(t, env)
		}})
}

// apart runs the test again in namespaces of its own.
func apart(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("in the namespaces: %v", err)
	}
}

// furnish starts all services that the README's commands ask, at the frontend address.
func furnish(t *testing.T, env *testscript.Env) error {
	if err := start(t, env); err != nil {
		return err
	}
	if err := static(t, filepath.Join(env.WorkDir, ".head", "luna-agent")); err != nil {
		return err
	}
	deps := env.Values["deps"].(func(string) run.Deps)
	boots, err := bootscript.New(bootscript.Config{Address: frontend, TFTP: frontend + ":0"}, deps("bootscript"))
	if err != nil {
		return err
	}
	names, err := dns.New(dns.Default(), deps("dns"))
	if err != nil {
		return err
	}
	return runAll(t, env, boots, names)
}

// static builds a static program that stands for the agent.
func static(t *testing.T, path string) error {
	source := filepath.Join(t.TempDir(), "main.go")
	if err := errors.Join(os.RemoveAll(path), os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600)); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-o", path, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build what stands for the agent: %w: %s", err, out)
	}
	return nil
}

// typed types the commands of a file at a terminal, one after the other, and
// keeps all that was said in the file said.
func typed(ts *testscript.TestScript, _ bool, args []string) {
	said, elsewhere := "", 0
	for _, line := range statements(ts.ReadFile(args[0])) {
		if untyped[line] != "" {
			elsewhere++
			continue
		}
		err := ts.Exec("script", "-qec", line, "/dev/null")
		out := strings.ReplaceAll(ts.ReadFile("stdout"), "\r\n", "\n")
		if err != nil {
			ts.Fatalf("%s\n%s%v", line, out, err)
		}
		said += "$ " + line + "\n" + out
		if line == "luna osimage pack compute" {
			ts.Check(served("http://" + frontend + ":7050/boot/compute-vmlinuz-" + kernver))
		}
	}
	if elsewhere != len(untyped) {
		ts.Fatalf("%d commands are said to run nowhere, the file has %d of them", len(untyped), elsewhere)
	}
	ts.Check(os.WriteFile(ts.MkAbs("said"), []byte(said), 0o600))
}

// statements returns the commands of a shell script, each with the text that it reads.
func statements(script string) []string {
	var all []string
	lines := strings.Split(script, "\n")
	for i := 0; i < len(lines); i++ {
		if lines[i] == "" || lines[i][0] == '#' {
			continue
		}
		first := i
		if strings.Contains(lines[i], "<< EOF") {
			i += slices.Index(lines[i:], "EOF")
		}
		all = append(all, strings.Join(lines[first:i+1], "\n"))
	}
	return all
}

// served waits until the boot service has a file of the image.
func served(url string) (err error) {
	for range 1000 {
		rep, failed := http.Get(url)
		if failed == nil {
			rep.Body.Close()
			if rep.StatusCode == http.StatusOK {
				return nil
			}
			failed = fmt.Errorf("%s: %s", url, rep.Status)
		}
		err = failed
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

// TestUntypedCommandsCannotBeTyped looks whether what is not run still could not be.
func TestUntypedCommandsCannotBeTyped(t *testing.T) {
	data, err := os.ReadFile("testdata/readme/commands.sh")
	if err != nil {
		t.Fatal(err)
	}
	all := statements(string(data))
	for line, reason := range untyped {
		if !slices.Contains(all, line) {
			t.Errorf("%q is no command of the README", line)
		}
		words := strings.Fields(line)
		if words[0] != "systemctl" || reason == "" {
			t.Errorf("%q could be run: it asks for nothing that a test lacks", line)
		}
		for _, unit := range words[1:] {
			if _, err := os.Stat("../../deploy/systemd/" + unit + ".service"); err == nil {
				t.Errorf("%q names the unit %s, which there is", line, unit)
			}
		}
	}
	if len(all) < 30 {
		t.Errorf("only %d commands", len(all))
	}
}
