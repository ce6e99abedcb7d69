package agent_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/services/agent/internal/boot"
	"github.com/luna-hpc/luna/services/agent/internal/control"
)

// booting stands for the boot process, which knows of a script that runs.
func (n *node) booting() (finished *int) {
	n.t.Helper()
	l, err := control.Listen(boot.Socket(n.run))
	if err != nil {
		n.t.Fatal(err)
	}
	finished = new(int)
	server := &control.Server{Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Handlers: map[string]control.Handler{
		"finish": func(context.Context, json.RawMessage, func(any) error) error { *finished++; return nil },
		"about": func(_ context.Context, _ json.RawMessage, send func(any) error) error {
			return send("This is node001.\n")
		},
	}}
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Run(ctx, l) })
	n.t.Cleanup(func() { cancel(); serving.Wait() })
	return finished
}

// system makes an installed system, which is a file system of its own.
func (n *node) system() {
	n.t.Helper()
	testenv.Root(n.t)
	if err := os.MkdirAll(n.root, 0o755); err != nil {
		n.t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", n.root, "tmpfs", 0, "size=1m,mode=0755"); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		if err := unix.Unmount(n.root, 0); err != nil {
			n.t.Error(err)
		}
	})
	n.file("sysroot/sbin/init", "#!/bin/sh\n", 0o755)
	n.file("sysroot/etc/ssh/ssh_host_ed25519_key", "private\n", 0o600)
	n.file("sysroot/etc/ssh/ssh_host_ed25519_key.pub", "ssh-ed25519 AAAA root@builder\n", 0o644)
}

func TestFinishTellsTheHostKeys(t *testing.T) {
	n := newNode(t)
	n.system()
	n.file("run/hardware.json", `{"product":"PX-2"}`, 0o600)
	finished := n.booting()
	if code, _, errOut := n.luna("", "finish"); code != 0 || *finished != 1 {
		t.Fatalf("status %d, said %q", code, errOut)
	}
	heard, last := n.heard()
	if heard != "hardware UNSPECIFIED, install.success OK" || last.GetValues()["host_keys"] != "1" {
		t.Errorf("heard %s, %v", heard, last)
	}
	if m := n.machine; m.GetProduct() != "PX-2" || !m.GetInstalled() || m.GetBootId() != "boot1" || strings.Join(m.GetHostKeys(), ",") != "ssh-ed25519 AAAA" {
		t.Errorf("heard %v", m)
	}
}

func TestFinishWithoutHardware(t *testing.T) {
	n := newNode(t)
	n.system()
	n.booting()
	if code, _, errOut := n.luna("", "finish"); code != 0 || !strings.Contains(errOut, "the head does not hear the host keys: read the hardware found") {
		t.Errorf("status %d, said %q", code, errOut)
	}
	if heard, last := n.heard(); heard != "install.success OK" || !strings.Contains(last.GetValues()["host_keys"], "hardware.json") {
		t.Errorf("heard %s, %v", heard, last)
	}
}

func TestAbout(t *testing.T) {
	n := newNode(t)
	if code, _, errOut := n.luna("", "about"); code != 1 || !strings.Contains(errOut, "the boot process does not answer") {
		t.Errorf("status %d, said %q", code, errOut)
	}
	n.booting()
	if code, out, errOut := n.luna("", "about"); code != 0 || out != "This is node001.\n" {
		t.Errorf("status %d, said %q, %q", code, out, errOut)
	}
}

// TestNoRebootOutsideAnInitrd would take the machine of the test with it.
func TestNoRebootOutsideAnInitrd(t *testing.T) {
	n := newNode(t)
	for _, args := range [][]string{{"reboot"}, {"reboot", "now"}} {
		if code, _, errOut := n.luna("", args...); code != 1 || !strings.Contains(errOut, map[int]string{1: "this is no initrd of Luna's", 2: `argument "now" is too much`}[len(args)]) {
			t.Errorf("status %d, said %q", code, errOut)
		}
	}
}
