package boot

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	bootscript "github.com/luna-hpc/luna/proto/bootscript/v1"
	"github.com/luna-hpc/luna/services/agent/internal/cmdline"
	"github.com/luna-hpc/luna/services/agent/internal/console"
	"github.com/luna-hpc/luna/services/agent/internal/control"
	"github.com/luna-hpc/luna/services/agent/internal/shell"
)

// office is a head that gives one script after the other, the last for ever.
type office struct {
	mu      sync.Mutex
	scripts []string
	asked   int
	heard   []string
	last    *bootscript.Report
	machine *bootscript.Hardware
}

func (o *office) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if r.URL.Query().Get("step") == "report" {
		body, _ := io.ReadAll(r.Body)
		report := &bootscript.Report{}
		if err := protojson.Unmarshal(body, report); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		o.last = report
		o.heard = append(o.heard, report.GetName()+" "+strings.TrimPrefix(report.GetState().String(), "STATE_"))
		return
	}
	if r.URL.Query().Get("step") == "hardware" {
		o.machine = &bootscript.Hardware{}
		body, _ := io.ReadAll(r.Body)
		if err := protojson.Unmarshal(body, o.machine); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
		o.heard = append(o.heard, "hardware")
		return
	}
	script := o.scripts[min(o.asked, len(o.scripts)-1)]
	o.asked++
	if script == "" {
		http.Error(w, "wait", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprint(w, "#!/bin/bash\n"+script)
}

// machine is a boot that does everything but to touch this machine.
func machine(t *testing.T, scripts ...string) (*Boot, *office, *strings.Builder) {
	t.Helper()
	o := &office{scripts: scripts}
	server := httptest.NewServer(o)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL + "/luna")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/run", 0o700); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	line := cmdline.Line{URL: u, Node: "node001", Boot: "boot1", Init: "/sbin/init"}
	b := New(line, dir+"/run", dir+"/sysroot", console.Open(dir), slog.New(console.NewHandler(slog.LevelInfo, &log)))
	b.pause, b.clear = time.Millisecond, func(string) error { return nil }
	return b, o, &log
}

// serve runs what a boot has beside the installation, and returns its end.
func serve(t *testing.T, b *Boot) {
	t.Helper()
	l, err := control.Listen(Socket(b.Run))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var beside sync.WaitGroup
	beside.Go(func() { _ = (&control.Server{Log: b.Log, Handlers: b.handlers()}).Run(ctx, l) })
	t.Cleanup(func() { cancel(); beside.Wait() })
}

// installed runs the installation to its end. Finish is what luna-agent finish
// does, as soon as the script says so by making a file.
func installed(t *testing.T, b *Boot) error {
	t.Helper()
	serve(t, b)
	done := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
			}
			if _, err := os.Stat(b.Run + "/finish"); err == nil && control.Call(context.Background(), Socket(b.Run), "finish", nil, nil) == nil {
				_ = os.Rename(b.Run+"/finish", b.Run+"/finished")
			}
		}
	})
	err := b.install(t.Context(), "ens3", &shell.Desk{})
	close(done)
	watcher.Wait()
	if flushed := b.Report.Flush(t.Context()); flushed != nil {
		t.Error(flushed)
	}
	return err
}

// finish is the end of a good script.
const finish = `touch "${LUNA_SYSROOT%sysroot}run/finish"; until [ -e "${LUNA_SYSROOT%sysroot}run/finished" ]; do sleep 0.01; done` + "\n"

func TestInstall(t *testing.T) {
	b, o, _ := machine(t, `echo "$LUNA_NODE $LUNA_BOOTIF $PWD $LUNA_URL" >"$LUNA_SYSROOT/out"; cat >>"$LUNA_SYSROOT/out"`+"\n"+finish)
	if err := installed(t, b); err != nil {
		t.Fatal(err)
	}
	if want := "install.request OK"; strings.Join(o.heard, ", ") != want {
		t.Errorf("heard %q", o.heard)
	}
	want := "node001 ens3 / " + b.Line.URL.String() + "\n"
	if got, err := os.ReadFile(filepath.Join(b.Root, "out")); err != nil || string(got) != want {
		t.Errorf("the script saw %q, %v", got, err)
	}
}

func TestInstallTriesAgain(t *testing.T) {
	b, o, log := machine(t, "", "", "echo no disk; exit 3\n", "echo no disk; exit 3\n", "echo other; exit 4\n", "exit 0\n", finish)
	if err := installed(t, b); err != nil {
		t.Fatal(err)
	}
	// The same again is told once.
	want := "install.request FAILED, install.request OK, agent.failed FAILED, install.request OK, agent.failed FAILED, " +
		"install.request OK, agent.failed FAILED, install.request OK"
	if got := strings.Join(o.heard, ", "); got != want {
		t.Errorf("heard %s", got)
	}
	for _, want := range []string{"503: wait", "exit status 3", "exit status 4", "ended without luna-agent finish"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the consoles show\n%swithout %q", log, want)
		}
	}
}

func TestFailureNamesItsStep(t *testing.T) {
	b, o, _ := machine(t, `printf 'install.partscript: no disk' >"${LUNA_SYSROOT%sysroot}run/failure"; echo last words; exit 1`+"\n")
	f := b.once(t.Context(), "ens3")
	if f == nil || f.step != "agent.failed" || f.err.Error() != "install.partscript: no disk" || f.result.Output != "last words\n" {
		t.Errorf("got %+v", f)
	}
	o.scripts = []string{"exit 1\n"}
	if f := b.once(t.Context(), "ens3"); f == nil || !strings.Contains(f.err.Error(), "exit status 1") {
		t.Errorf("what failed before is still remembered: %+v", f)
	}
}

func TestFinishNeedsAScript(t *testing.T) {
	b, _, _ := machine(t, "")
	serve(t, b)
	if err := control.Call(t.Context(), Socket(b.Run), "finish", nil, nil); err == nil || err.Error() != "no install script runs" {
		t.Errorf("got %v", err)
	}
}

func TestStoppedInstallation(t *testing.T) {
	b, _, _ := machine(t, "echo started >\"$LUNA_SYSROOT/started\"; sleep 600\n")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(b.Root + "/started"); err == nil {
				cancel()
			}
		}
	}()
	if err := b.install(ctx, "ens3", &shell.Desk{}); err == nil {
		t.Error("ended well")
	}
}

func TestDelivery(t *testing.T) {
	b, o, _ := machine(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	var delivery sync.WaitGroup
	b.Report.Started(ctx, "agent.start", "")
	delivery.Go(func() { b.deliver(ctx) })
	for n := 1; n > 0; {
		var err error
		if n, err = b.Report.Spool.Waiting(); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	delivery.Wait()
	if strings.Join(o.heard, ", ") != "agent.start STARTED" || o.last.GetBootId() != "boot1" {
		t.Errorf("heard %q, %v", o.heard, o.last)
	}
}

func TestDeskOfOneTerminal(t *testing.T) {
	names := []string{"tty1", "ttyS0"}
	for only, want := range map[string]string{"": "[/dev/tty1 /dev/ttyS0]", "ttyS1": "[/dev/ttyS1]"} {
		if got := fmt.Sprint(Desk(only, names, nil, nil, slog.New(slog.DiscardHandler)).Terminals); got != want {
			t.Errorf("%q: %s, want %s", only, got, want)
		}
	}
}
