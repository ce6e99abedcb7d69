package boot

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/services/agent/internal/console"
	"github.com/luna-hpc/luna/services/agent/internal/control"
	"github.com/luna-hpc/luna/services/agent/internal/hardware"

	bootscript "github.com/luna-hpc/luna/proto/bootscript/v1"
)

// shown is what a kernel shows of a small machine.
func shown(t *testing.T, b *Boot) {
	t.Helper()
	b.system = t.TempDir()
	for name, text := range map[string]string{
		"proc/meminfo": "MemTotal:        2097152 kB\n", "sys/class/dmi/id/product_name": "PX-2\n", "etc/motd": "",
		"sys/class/tty/console/active": "ttyS0\n", "dev/ttyS0": "",
	} {
		path := filepath.Join(b.system, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHardwareIsToldAndKept(t *testing.T) {
	for said, c := range map[string]controller{
		"":                        {},
		"10.50.0.1":               {bmc: &bootscript.Bmc{Address: "10.50.0.1"}},
		"the BMC does not answer": {err: errors.New("the BMC does not answer")},
	} {
		b, o, log := machine(t, "")
		shown(t, b)
		asked := make(chan controller, 1)
		asked <- c
		b.hardware(t.Context(), asked)
		if err := b.Report.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(o.heard, ", "); got != "hardware, agent.hardware OK" || o.last.GetValues()["memory"] != "2048 MiB" {
			t.Errorf("heard %s, %v", got, o.last)
		}
		if o.machine.GetProduct() != "PX-2" || o.machine.GetBootId() != "boot1" || o.machine.GetBmc().GetAddress() != c.bmc.GetAddress() {
			t.Errorf("heard %v", o.machine)
		}
		if c.err != nil && (o.last.GetValues()["bmc"] != said || !strings.Contains(log.String(), said)) {
			t.Errorf("heard %v, logged %s", o.last, log)
		}
		if kept, err := hardware.Load(b.Run); err != nil || kept.GetProduct() != "PX-2" {
			t.Errorf("kept %v, %v", kept, err)
		}
	}
}

// TestServiceMode has a node in service mode greet whoever comes, and fetch no script.
func TestServiceMode(t *testing.T) {
	b, o, _ := machine(t, "echo never\n")
	shown(t, b)
	b.Line.Service, b.Line.Hostname = true, "node001.cluster"
	b.Consoles = console.Open(b.system)
	serve(t, b)
	b.about.know(func(a *about) {
		a.address, a.fingerprint, a.hardware = "10.30.0.1/16 on ens3", "SHA256:abc", []string{"PX-2", "disk sda"}
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.service(ctx) }()
	var motd string
	for limit := time.After(20 * time.Second); motd == ""; {
		select {
		case <-limit:
			t.Fatal("no greeting")
		case <-time.After(time.Millisecond):
		}
		data, err := os.ReadFile(filepath.Join(b.system, "etc/motd"))
		if err != nil {
			t.Fatal(err)
		}
		motd = string(data)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := b.Report.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(o.heard, ", "); got != "agent.service OK" || o.asked != 0 {
		t.Errorf("heard %s, asked for %d scripts", got, o.asked)
	}
	if err := b.Consoles.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	screen, err := os.ReadFile(filepath.Join(b.system, "dev/ttyS0"))
	if err != nil || !strings.Contains(string(screen), greeting) || motd != greeting {
		t.Errorf("the console shows\n%s\nssh says\n%s, %v", screen, motd, err)
	}
	err = control.Call(t.Context(), Socket(b.Run), "about", nil, func(event json.RawMessage) error {
		if text, err := Text(event); err != nil || text != greeting {
			t.Errorf("about says %s, %v", text, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

const greeting = `
This is node001 in Luna's initrd. SERVICE MODE: nothing is installed, the disks are untouched.

  name       node001.cluster
  address    10.30.0.1/16 on ens3
  ssh key    SHA256:abc
  boot       boot1
  hardware   PX-2
             disk sda

luna-agent about tells this again. To leave service mode type on a head
    luna node change node001 --service n
and then here
    luna-agent reboot

`

func TestGreetingWithoutServiceMode(t *testing.T) {
	b, _, _ := machine(t, "")
	text := b.about.text(b.Line)
	if strings.Contains(text, "SERVICE") || !strings.Contains(text, "address    not known yet\n") || !strings.Contains(text, "the machine is started again by\n    luna-agent reboot\n") {
		t.Error(text)
	}
}
