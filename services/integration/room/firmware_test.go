package room

import (
	"context"
	"fmt"
	"image/png"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
)

// patience is how long a machine may take to ask for an address; most need a tenth of it.
const patience = 3 * time.Minute

// listen hands on what machines ask by DHCP, and answers nothing.
func listen(t *testing.T, r *Room) <-chan *dhcpv4.DHCPv4 {
	t.Helper()
	heard := make(chan *dhcpv4.DHCPv4, 100)
	var server *server4.Server
	err := r.Do(func() (err error) {
		server, err = server4.NewServer(Bridge, &net.UDPAddr{IP: net.IPv4zero, Port: 67},
			func(_ net.PacketConn, _ net.Addr, m *dhcpv4.DHCPv4) { heard <- m })
		return err
	})
	if err != nil {
		t.Fatalf("listen for DHCP: %v", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve() // ends with an error when closed
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return heard
}

// discover waits for a machine's DHCPDISCOVER.
func discover(t *testing.T, ctx context.Context, heard <-chan *dhcpv4.DHCPv4, m *Machine) *dhcpv4.DHCPv4 {
	t.Helper()
	for {
		select {
		case got := <-heard:
			if got.MessageType() == dhcpv4.MessageTypeDiscover && strings.EqualFold(got.ClientHWAddr.String(), m.MAC) {
				return got
			}
		case <-ctx.Done():
			t.Fatalf("%s sent no DHCPDISCOVER; its console: %s", m.Name, m.Console())
		}
	}
}

func start(t *testing.T, ctx context.Context, r *Room, spec Machine) *Machine {
	t.Helper()
	m, err := r.AddMachine(spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return m
}

// Architectures are those of RFC 4578, section 2.1: 0 is a BIOS, 7 is UEFI on x86-64 as everybody sends it.
func TestBIOSMachineIsIPXE(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r := open(t)
	heard := listen(t, r)
	m := start(t, ctx, r, Machine{Name: "bios", MAC: "52:54:00:00:00:01", Memory: 128, Disks: []int{64}})
	for _, when := range []string{"switched on", "reset"} {
		got := discover(t, ctx, heard, m)
		if arch := got.ClientArch(); len(arch) != 1 || arch[0] != 0 {
			t.Errorf("when %s: architecture %v", when, arch)
		}
		if class := string(got.Options.Get(dhcpv4.OptionUserClassInformation)); class != "iPXE" {
			t.Errorf("when %s: user class %q", when, class)
		}
		if err := m.WaitConsole(ctx, "iPXE"); err != nil {
			t.Error(err)
		}
		if when == "reset" {
			break
		}
		checkTraffic(t, r, m)
		if err := m.Reset(ctx); err != nil {
			t.Fatal(err)
		}
	}
	checkScreenshot(t, ctx, m)
	checkStop(t, ctx, m)
}

func TestUEFIMachineIsEDK2(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r := open(t)
	heard := listen(t, r)
	m := start(t, ctx, r, Machine{Name: "uefi", MAC: "52:54:00:00:00:02", Memory: 256, Firmware: UEFI, Bus: NVMe, Disks: []int{64}})
	got := discover(t, ctx, heard, m)
	if arch := got.ClientArch(); len(arch) != 1 || arch[0] != 7 {
		t.Errorf("architecture %v", arch)
	}
	if class := got.Options.Get(dhcpv4.OptionUserClassInformation); class != nil {
		t.Errorf("user class %q", class)
	}
	if class := got.ClassIdentifier(); !strings.HasPrefix(class, "PXEClient:Arch:00007") {
		t.Errorf("vendor class %q", class)
	}
}

func checkTraffic(t *testing.T, r *Room, m *Machine) {
	t.Helper()
	sent, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	head, err := r.HeadBytes()
	if err != nil {
		t.Fatal(err)
	}
	if sent.Sent < 300 || head.Received == 0 {
		t.Errorf("after a DHCPDISCOVER: machine %+v, head %+v", sent, head)
	}
}

func checkScreenshot(t *testing.T, ctx context.Context, m *Machine) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "screen.png")
	if err := m.Screenshot(ctx, path); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := png.Decode(f); err != nil {
		t.Errorf("screenshot: %v", err)
	}
}

func checkStop(t *testing.T, ctx context.Context, m *Machine) {
	t.Helper()
	if err := m.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := m.Wait(ctx); err != nil {
		t.Error(err)
	}
	if err := m.WaitConsole(ctx, "never printed"); err == nil || !strings.Contains(err.Error(), "is off") {
		t.Errorf("waiting for the console of a machine that is off: %v", err)
	}
	if err := m.Reset(ctx); err == nil {
		t.Error("a machine that is off was reset")
	}
}

func TestWrongMachinesAreRefused(t *testing.T) {
	r := open(t)
	if _, err := r.AddMachine(Machine{Name: "node001", MAC: "52:54:00:00:00:01"}); err != nil {
		t.Fatal(err)
	}
	for what, spec := range map[string]Machine{
		"no name":   {MAC: "52:54:00:00:00:02"},
		"a path":    {Name: "../x", MAC: "52:54:00:00:00:02"},
		"no MAC":    {Name: "node002"},
		"same name": {Name: "node001", MAC: "52:54:00:00:00:02"},
		"same MAC":  {Name: "node002", MAC: "52:54:00:00:00:01"},
	} {
		if _, err := r.AddMachine(spec); err == nil {
			t.Errorf("%s: taken", what)
		}
	}
	m, err := r.AddMachine(Machine{Name: "node003", MAC: "52:54:00:00:00:03", Args: []string{"-no-such-option"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "no-such-option") {
		t.Errorf("QEMU's complaint is not in the error: %v", err)
	}
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDisksHangOnEveryBus(t *testing.T) {
	r := open(t)
	for i, bus := range []Bus{VirtioBlock, NVMe, AHCI, MegaRAID} {
		m := start(t, t.Context(), r, Machine{
			Name: fmt.Sprintf("bus%d", i), MAC: fmt.Sprintf("52:54:00:00:01:%02x", i),
			Memory: 64, Bus: bus, Disks: []int{64, 64}, Card: "e1000e",
		})
		if err := m.Stop(); err != nil {
			t.Error(err)
		}
	}
}
