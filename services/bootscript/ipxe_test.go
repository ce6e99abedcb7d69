package bootscript

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/testenv"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// TestIPXEItselfReadsTheScripts boots a machine whose network ROM is iPXE from
// the head, through the user-mode network, where the head is 10.0.2.2 and the
// machine asks from 127.0.0.1.
func TestIPXEItselfReadsTheScripts(t *testing.T) {
	r := newRoom(t)
	r.object("cluster", "C1", &inventoryv1.Cluster{Id: "C1", FrontendAddress: "10.0.2.2", FrontendPort: uint32(r.port), TokenKeyId: "T1", MenuWait: 1})
	r.object("osimage", "O1", &inventoryv1.Osimage{Id: "O1", Name: "compute", Kernopts: "console=ttyS0"})
	image := kernel(t)
	r.until("the head has its address", func() bool { _, s := r.get("/luna?step=boot"); return strings.Contains(s, "http://10.0.2.2:") })
	console := r.machine(t, mac1)
	// The node has nothing to boot: the script says so and asks again.
	console.wait("Luna: node001 cannot boot: osimage compute: it was not packed yet")
	r.release(image, "initrd", "torrent", "manifest")
	console.wait("Luna: node001 boots compute")
	console.wait("luna.node=node001")
	if got := names(r.show("node001").Steps); !strings.Contains(got, "boot.discovery/ok/address") {
		t.Error(got)
	}
	if t.Failed() {
		t.Log(console.String())
	}
}

// TestANodeIsPickedOnIPXEsScreen goes through the menu and the list of nodes by keys.
func TestANodeIsPickedOnIPXEsScreen(t *testing.T) {
	r := newRoom(t)
	r.object("cluster", "C1", &inventoryv1.Cluster{Id: "C1", FrontendAddress: "10.0.2.2", FrontendPort: uint32(r.port), TokenKeyId: "T1", MenuWait: 600})
	bound := r.inventory(r.node("node003", "127.0.0.3", ""))
	r.until("the head has its address", func() bool { _, s := r.get("/luna?step=boot"); return strings.Contains(s, "http://10.0.2.2:") })
	console := r.machine(t, mac2)
	console.wait("Boot from the next device")
	console.press(down + enter)
	console.wait("Back to the menu")
	r.tell(mac2, "127.0.0.1")
	console.press(down + enter)
	console.wait("Luna: node003 cannot boot: osimage compute: it was not packed yet")
	if got := <-bound; got.Name != "node003" || got.GetMac() != mac2 {
		t.Error(got)
	}
}

// Keys on a serial line.
const (
	down  = "\x1b[B"
	enter = "\r"
)

// press types at the machine.
func (s *screen) press(keys string) {
	s.t.Helper()
	if _, err := io.WriteString(s.keys, keys); err != nil {
		s.t.Fatal(err)
	}
}

// kernel returns a Linux kernel, which shows its command line.
func kernel(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(testenv.Kernel(t))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// screen collects what a machine says on its serial line.
type screen struct {
	t     *testing.T
	lines chan []byte
	keys  io.Writer
	seen  bytes.Buffer
}

func (s *screen) String() string { return s.seen.String() }

func (s *screen) Write(p []byte) (int, error) {
	s.lines <- bytes.Clone(p)
	return len(p), nil
}

// wait waits for a text after all that was waited for before.
func (s *screen) wait(text string) {
	s.t.Helper()
	limit := time.After(3 * time.Minute)
	from := s.seen.Len()
	for !strings.Contains(s.seen.String()[from:], text) {
		select {
		case p := <-s.lines:
			s.seen.Write(p)
		case <-limit:
			s.t.Fatalf("never on the screen: %s\n%s", text, s.seen.String())
		}
	}
}

// machine starts a BIOS machine that boots from the network.
func (r *room) machine(t *testing.T, mac string) *screen {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &screen{t: t, lines: make(chan []byte, 1<<16)}
	cmd := exec.CommandContext(ctx, testenv.Program(t, "qemu-system-x86_64"), "-accel", "tcg", "-m", "512", "-nographic", "-no-reboot",
		"-netdev", "user,id=n,bootfile="+r.head()+"/luna?step=boot", "-device", "virtio-net-pci,netdev=n,mac="+mac, "-boot", "n")
	cmd.Stdout, cmd.Stderr = s, s
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.keys = keys
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() }) // killed: an error is what is wanted
	return s
}

func (r *room) head() string { return strings.Replace(r.url(""), "127.0.0.1", "10.0.2.2", 1) }
