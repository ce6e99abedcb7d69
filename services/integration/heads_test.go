package integration_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/services/integration/fleet"
	"github.com/luna-hpc/luna/services/integration/room"
)

// threeHeads are heads in one room; the first is in the room's own namespace
// and has the image's directory.
type threeHeads struct {
	*testing.T
	ctx       context.Context
	room      *room.Room
	addresses []string
	heads     []*fleet.Head
}

func openThreeHeads(t *testing.T, ctx context.Context) *threeHeads {
	t.Helper()
	image, err := room.MakeImage(ctx, slog.New(slog.DiscardHandler))
	must(t, err)
	dir := folder(t)
	r, err := room.Open(ctx, room.Options{Dir: dir, Key: image.Key, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	h := &threeHeads{T: t, ctx: ctx, room: r, addresses: []string{"10.30.255.254", "10.30.255.253", "10.30.255.252"}}
	deploy, err := filepath.Abs("../../deploy")
	must(t, err)
	for i, address := range h.addresses {
		ns, etc := r.Namespace, ""
		if i > 0 {
			host, err := r.AddHost(ctx, fmt.Sprint("head", i+1), net.HardwareAddr{0x52, 0x54, 0, 0xbb, 0, byte(i)}, netip.MustParsePrefix(address+"/16"))
			must(t, err)
			ns, etc = host.Namespace, h.heads[0].Etc()
		}
		own := filepath.Join(dir, fmt.Sprint("head", i+1))
		must(t, os.Mkdir(own, 0o755))
		head, err := fleet.New(ctx, ns, fleet.Options{Name: fmt.Sprint("head", i+1), Dir: own, Bin: bin(t), Deploy: deploy, Heads: append([]string(nil), h.addresses...), Address: address, Etc: etc})
		must(t, err)
		h.heads = append(h.heads, head)
		must(t, head.Start(fleet.NATS))
	}
	must(t, h.heads[0].Streams(ctx, 3))
	for _, head := range h.heads {
		must(t, head.Start(fleet.Services...))
	}
	h.describe(image.Root)
	return h
}

func (h *threeHeads) describe(image string) {
	h.Helper()
	all := strings.Join(h.addresses, ",")
	for _, line := range []string{
		"cluster init --frontend_address " + h.addresses[0],
		"cluster change --menu_wait 1 --cluster_ips " + all,
		"network add -n cluster -N 10.30.0.0 -P 16 --gateway 10.30.255.254 --nameservers " + all,
		"cluster makedhcp --network cluster --start_ip 10.30.128.1 --end_ip 10.30.140.255",
		"osimage add -n compute -p " + image,
		"osimage change compute --kernopts console=tty0\x00console=ttyS0,115200",
		"osimage pack compute",
		"group add -n compute -o compute -N cluster",
	} {
		args := strings.Fields(line)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "\x00", " ")
		}
		h.luna(args...)
	}
	for _, head := range h.heads {
		must(h.T, head.WaitReady(h.ctx, 0, fleet.Services...))
	}
	h.until("every head has the whole payload", func() bool {
		want := segments(h.T, h.heads[0])
		for _, head := range h.heads[1:] {
			if got := segments(h.T, head); len(want) == 0 || strings.Join(got, " ") != strings.Join(want, " ") {
				return false
			}
		}
		return true
	})
}

// segments lists what a head has of the payload, whole.
func segments(t *testing.T, head *fleet.Head) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(head.Data("payload"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if len(e.Name()) == 64 {
			names = append(names, e.Name())
		}
	}
	return names
}

// luna types a command at a head that is on, again until it is taken.
func (h *threeHeads) luna(args ...string) string {
	h.Helper()
	for {
		out, err := h.heads[0].Luna(h.ctx, args...)
		if err == nil {
			return out
		}
		if h.ctx.Err() != nil || !strings.Contains(err.Error(), "not done") {
			h.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond)
	}
}

func (h *threeHeads) until(what string, so func() bool) {
	h.Helper()
	for !so() {
		select {
		case <-h.ctx.Done():
			h.Fatalf("never: %s", what)
		case <-time.After(300 * time.Millisecond):
		}
	}
}

var asksHead = regexp.MustCompile(`luna\.url=http://([0-9.]+):`)

// bootWithout boots a machine and switches off the head that it talks to
// while it fetches the image, or another one when that is to be spared. It
// returns the head that is off.
func (h *threeHeads) bootWithout(name string, n byte, spared *fleet.Head) *fleet.Head {
	h.Helper()
	mac := fmt.Sprintf("52:54:00:aa:00:%02x", n)
	h.luna("node", "add", "-n", name, "-g", "compute", "--mac", mac)
	m, err := h.room.AddMachine(room.Machine{Name: name, MAC: mac, Firmware: room.BIOS, Disks: []int{4096}})
	must(h.T, err)
	must(h.T, m.Start(h.ctx))
	must(h.T, m.WaitConsole(h.ctx, "luna: payload"))
	asked := asksHead.FindStringSubmatch(m.Console())
	if asked == nil {
		h.Fatalf("the machine asked no head:\n%s", m.Console())
	}
	var off *fleet.Head
	for i, address := range h.addresses {
		if address == asked[1] {
			off = h.heads[i]
		}
	}
	if off == nil {
		h.Fatalf("%s is no head", asked[1])
	}
	if off == spared {
		off = h.heads[(slices.Index(h.heads, off)+1)%len(h.heads)]
	}
	h.Logf("%s talks to %s; %s is switched off", name, asked[1], h.addresses[slices.Index(h.heads, off)])
	must(h.T, off.KillAll())
	address := fmt.Sprintf("10.30.0.%d", n)
	h.until(name+" is up", func() bool {
		out, err := h.room.SSH(h.ctx, address, "systemctl is-active multi-user.target")
		return err == nil && strings.TrimSpace(out) == "active"
	})
	if out, err := h.room.SSH(h.ctx, address, "hostname"); err != nil || !strings.HasPrefix(out, name) {
		h.Errorf("hostname %q, %v", out, err)
	}
	return off
}

// TestAnyHeadMayBeSwitchedOff switches off the head that a booting node talks
// to, then, while that one comes back and the next node boots, another.
func TestAnyHeadMayBeSwitchedOff(t *testing.T) {
	ctx := limit(t, 20*time.Minute)
	h := openThreeHeads(t, ctx)
	first := h.bootWithout("node001", 1, nil)
	must(t, first.Start(append([]string{fleet.NATS}, fleet.Services...)...))
	h.until("commands are taken", func() bool { _, err := h.heads[0].Luna(ctx, "history"); return err == nil })
	second := h.bootWithout("node002", 2, first)
	must(t, second.Start(append([]string{fleet.NATS}, fleet.Services...)...))
	for _, head := range h.heads {
		must(t, head.WaitReady(ctx, 0, fleet.Services...))
	}
	for _, question := range []string{"node list --output json", "boot why node001", "boot why node002", "lease list --output json"} {
		h.until("the heads agree on "+question, func() bool {
			var said []string
			for _, head := range h.heads {
				out, err := head.Luna(ctx, strings.Fields(question)...)
				said = append(said, fmt.Sprint(out, err))
			}
			return said[0] == said[1] && said[1] == said[2] && strings.HasSuffix(said[0], "<nil>")
		})
	}
	for _, name := range []string{"node001", "node002"} {
		if out, err := h.heads[2].Luna(ctx, "boot", "show", name); err != nil || strings.Count(out, "install.success") != 1 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
