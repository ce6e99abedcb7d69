package dhcp_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"
)

// cable is two network namespaces on a wire: the head's, which the test
// process is in, and the machines'.
type cable struct {
	head, machines string
	// headLink and machineLink are the cable's ends.
	headLink, machineLink string
}

const (
	envMachines = "LUNA_DHCP_TEST_MACHINES"
	envPlug     = "LUNA_DHCP_TEST_PLUG"
)

// plugged returns the wire that this process was started on; ok is false in the
// process that is to make one.
func plugged() (w cable, ok bool) {
	plug := os.Getenv(envPlug)
	return cable{machines: os.Getenv(envMachines), headLink: "h" + plug, machineLink: "m" + plug}, plug != ""
}

// onAWire runs the calling test again in a process of its own inside a new
// namespace. It needs root.
func onAWire(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("network namespaces need root: run this test as root")
	}
	id := fmt.Sprint(os.Getpid())
	w := cable{head: "luna-dhcp-h" + id, machines: "luna-dhcp-m" + id, headLink: "h" + id, machineLink: "m" + id}
	for _, ns := range []string{w.head, w.machines} {
		ip(t, "netns", "add", ns)
		t.Cleanup(func() { ip(t, "netns", "delete", ns) })
	}
	ip(t, "-n", w.head, "link", "add", w.headLink, "type", "veth", "peer", "name", w.machineLink, "netns", w.machines)
	for _, up := range [][2]string{{w.head, "lo"}, {w.head, w.headLink}, {w.machines, "lo"}, {w.machines, w.machineLink}} {
		ip(t, "-n", up[0], "link", "set", up[1], "up")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ip", "netns", "exec", w.head, os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), envMachines+"="+w.machines, envPlug+"="+id)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("inside the namespace: %v", err)
	}
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// become gives the machines' card a MAC and no address.
func (w cable) become(t *testing.T, mac string) {
	t.Helper()
	ip(t, "-n", w.machines, "addr", "flush", "dev", w.machineLink)
	ip(t, "-n", w.machines, "link", "set", w.machineLink, "address", mac)
}

// machine runs a program on the machines' side.
func (w cable) machine(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", w.machines}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// listen opens a UDP socket on the machines' side, bound to their card.
func (w cable) listen(t *testing.T, at string) *net.UDPConn {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	here, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	there, err := netns.GetFromName(w.machines)
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	if err := netns.Set(there); err != nil {
		t.Fatal(err)
	}
	pc, err := net.ListenPacket("udp4", at)
	if back := netns.Set(here); back != nil {
		t.Fatal(back)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	return pc.(*net.UDPConn)
}

// script writes a program that DHCP clients call; it prints what they were given
// to a file and sets nothing up. The client runs with it and the file is read.
func script(t *testing.T, body string) (path, output string) {
	t.Helper()
	dir := t.TempDir()
	path, output = filepath.Join(dir, "script"), filepath.Join(dir, "output")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+strings.ReplaceAll(body, "OUTPUT", output)+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path, output
}

// given is what a client was given, by the name of its script's variable.
func given(t *testing.T, file string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	for line := range bytes.Lines(data) {
		k, v, _ := strings.Cut(strings.TrimSpace(string(line)), "=")
		m[k] = strings.Trim(v, "'")
	}
	return m
}

// udhcpc is busybox's client; it asks until it is given an address.
func (w cable) udhcpc(t *testing.T, more ...string) map[string]string {
	t.Helper()
	path, output := script(t, `[ "$1" = bound ] && env > OUTPUT; exit 0`)
	w.machine(t, append([]string{"udhcpc", "-i", w.machineLink, "-f", "-q", "-n", "-t", "20", "-T", "1", "-s", path,
		"-O", "bootfile", "-O", "tftp", "-O", "mtu", "-O", "ntpsrv", "-O", "search"}, more...)...)
	return given(t, output)
}
