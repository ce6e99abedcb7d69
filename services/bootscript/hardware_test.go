package bootscript

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/pkg/wire"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKtDTYo0SPKWnx4CXV0A7HlDvxRNzfR4mXn4vnTV6f0C"

// machine is a machine with some memory, in GiB.
func machine(boot string, memory uint64) *bootscriptv1.Hardware {
	return &bootscriptv1.Hardware{BootId: boot, Product: "PX-2", MemoryBytes: memory << 30,
		Disks: []*bootscriptv1.Disk{{Name: "sdb", Serial: "123"}}}
}

// hardware posts what a node's machine is made of.
func (r *room) hardware(client *http.Client, node, bearer string, h *bootscriptv1.Hardware) (int, string) {
	r.t.Helper()
	data, err := wire.Marshal(h)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.post(client, node, bearer, string(data))
}

func (r *room) post(client *http.Client, node, bearer, body string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(within(r.t), http.MethodPost, r.url("/luna?step=hardware&node="+node), strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	return r.read(client.Do(req))
}

// root is a client whose requests come from a port that only root may use.
func root(t *testing.T) *http.Client {
	testenv.Root(t)
	tr := &http.Transport{DialContext: func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		for port := 1023; port > 600; port-- {
			if conn, err = (&net.Dialer{LocalAddr: &net.TCPAddr{Port: port}}).DialContext(ctx, network, address); err == nil {
				break
			}
		}
		return conn, err
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func (r *room) known(node string) *bootscriptv1.HardwareShowReply {
	return ask(r, "hardware", "show", &bootscriptv1.HardwareShowRequest{Node: node}, &bootscriptv1.HardwareShowReply{})
}

func (r *room) is(node string, memory uint64, changes ...string) {
	r.t.Helper()
	rep := r.known(node)
	if rep.Now.GetMemoryBytes() != memory<<30 || strings.Join(rep.Changes, "; ") != strings.Join(changes, "; ") {
		r.t.Fatalf("%v", rep)
	}
}

// took fails unless a report was taken.
func (r *room) took(code int, body string) {
	r.t.Helper()
	if code != 200 || body != "ok\n" {
		r.t.Fatal(code, body)
	}
}

func TestHardwareIsToldWhenItChanges(t *testing.T) {
	r := newRoom(t)
	r.release("kernel", "initrd", "torrent", "manifest")
	r.here("/boot/compute-vmlinuz-6.1.0-9")
	if rep := r.known("node001"); rep.Now != nil || rep.Changes != nil {
		t.Fatal(rep)
	}
	boot := func() (string, string) {
		script := r.armed(mac1, discovery)
		return word(script, "luna.boot"), word(script, "luna.token")
	}
	first, tok := boot()
	for range 2 {
		r.took(r.hardware(http.DefaultClient, "node001", tok, machine(first, 64)))
	}
	r.is("node001", 64)
	end := machine(first, 64)
	end.Installed, end.HostKeys = true, []string{hostKey + " root@builder"}
	r.took(r.hardware(http.DefaultClient, "node001", tok, end))
	second, tok := boot()
	r.took(r.hardware(http.DefaultClient, "node001", tok, machine(second, 64)))
	r.until("the stream has both", func() bool { return r.messages(subject.Hardware) == 2 })
	third, tok := boot()
	now := machine(third, 32)
	now.Disks = nil
	r.took(r.hardware(http.DefaultClient, "node001", tok, now))
	r.is("node001", 32, "memory 64 GiB → 32 GiB", "disk sdb (SN 123) is gone")
	if rep := r.known("node001"); rep.Now.NodeId != "id-node001" || rep.Now.BootId != third || rep.Before.BootId != first || rep.Now.HostKeys[0] != hostKey {
		t.Fatal(rep)
	}
	r.until("the stream has three", func() bool { return r.messages(subject.Hardware) == 3 })
	r.stop()
	r.start()
	r.is("node001", 32, "memory 64 GiB → 32 GiB", "disk sdb (SN 123) is gone")
	r.took(r.hardware(http.DefaultClient, "node001", tok, now))
	// Had it been kept again, it would have gone out before this.
	_, err := bus.Request(within(t), r.other, subject.Command("bootscript", "hardware", "show"), &bootscriptv1.HardwareShowRequest{Node: "node009"}, &bootscriptv1.HardwareShowReply{})
	if fault.KindOf(err) != fault.NotFound {
		t.Error(err)
	}
	now.MemoryBytes = 48 << 30
	r.took(r.hardware(http.DefaultClient, "node001", tok, now))
	r.until("the stream has four", func() bool { return r.messages(subject.Hardware) >= 4 })
	if n := r.messages(subject.Hardware); n != 4 {
		t.Errorf("%d records", n)
	}
}

func TestHardwareIsBelievedFromRootOnly(t *testing.T) {
	r := newRoom(t)
	r.release("kernel", "initrd", "torrent", "manifest")
	r.here("/boot/compute-vmlinuz-6.1.0-9")
	r.node("node002", "127.0.0.2", mac2) // not this machine's address
	r.until("node002 is known", func() bool { code, _ := r.get("/luna?step=install&node=node002"); return code == 200 })
	admin := root(t)
	tok := word(r.armed(mac1, discovery), "luna.token")
	for what, c := range map[string]struct {
		client       *http.Client
		node, bearer string
		code         int
	}{
		"a user of the node":         {http.DefaultClient, "node001", "", 403},
		"a user with a made-up word": {http.DefaultClient, "node001", "x", 403},
		"root of another node":       {admin, "node002", "", 403},
		"another node's token":       {http.DefaultClient, "node002", tok, 403},
		"root with another's token":  {admin, "node002", tok, 403},
		"no node":                    {admin, "node009", "", 404},
		"root of the node":           {admin, "node001", "", 200},
		"the token":                  {http.DefaultClient, "node001", tok, 200},
	} {
		if code, body := r.hardware(c.client, c.node, c.bearer, machine("", 64)); code != c.code {
			t.Errorf("%s: %d %s", what, code, body)
		}
	}
	for what, body := range map[string]string{"garbage": "\x00\x01", "empty": "", "too big": `{"product":"` + strings.Repeat("x", 1<<20) + `"}`, "control characters": `{"product":"\u001b[2J"}`} {
		if code, said := r.post(admin, "node001", "", body); code != 400 {
			t.Errorf("%s: %d %s", what, code, said)
		}
	}
	if rep := r.known("node002"); rep.Now != nil {
		t.Error(rep)
	}
	r.is("node001", 64)
	if code, body := r.hardware(admin, "node001", "", machine("01AAAAAAAAAAAAAAAAAAAAAAAA", 64)); code != 409 {
		t.Error("of a boot long ago:", code, body)
	}
	for i := range uint64(30) {
		code, body := r.hardware(admin, "node001", "", machine("", i+1))
		if want := map[bool]int{true: 200, false: 409}[i < 19]; code != want {
			t.Fatalf("change %d: %d %s", i, code, body)
		}
	}
}

func TestHardwareWhileTheBusIsDead(t *testing.T) {
	r := newRoom(t)
	r.release("kernel", "initrd", "torrent", "manifest")
	r.here("/boot/compute-vmlinuz-6.1.0-9")
	script := r.armed(mac1, discovery)
	boot, tok := word(script, "luna.boot"), word(script, "luna.token")
	r.srv.Restart(t, func() {
		for range 2 {
			r.took(r.hardware(http.DefaultClient, "node001", tok, machine(boot, 64)))
		}
		r.stop()
		r.startDead()
		r.took(r.hardware(http.DefaultClient, "node001", tok, machine(boot, 64)))
		r.took(r.hardware(http.DefaultClient, "node001", tok, machine(boot, 32)))
	})
	r.until("the bus is back", func() bool {
		_, err := bus.Request(within(t), r.other, subject.Command("bootscript", "hardware", "show"), &bootscriptv1.HardwareShowRequest{Node: "node001"}, &bootscriptv1.HardwareShowReply{})
		return err == nil
	})
	r.is("node001", 32)
	r.until("both are in the stream", func() bool { return r.messages(subject.Hardware) == 2 })
	r.is("node001", 32)
	r.stop()
	r.start()
	r.is("node001", 32)
	// What another head tells counts once it is in the stream.
	other := &bootscriptv1.HardwareRecord{Now: machine(boot, 16), Before: machine("", 8)}
	other.Now.NodeId = "id-node001"
	r.publish(r.other, subject.HardwareOf("id-node001"), other)
	r.until("the other head's word is known", func() bool { return r.known("node001").Now.GetMemoryBytes() == 16<<30 })
	r.is("node001", 16, "memory 8 GiB → 16 GiB")
}

func TestAnotherHeadsRecordFollowsOwn(t *testing.T) {
	r := newRoom(t)
	r.release("kernel", "initrd", "torrent", "manifest")
	r.here("/boot/compute-vmlinuz-6.1.0-9")
	script := r.armed(mac1, discovery)
	r.took(r.hardware(http.DefaultClient, "node001", word(script, "luna.token"), machine(word(script, "luna.boot"), 64)))
	r.until("it is in the stream", func() bool { return r.messages(subject.Hardware) == 1 })
	other := &bootscriptv1.HardwareRecord{Now: machine("", 16)}
	other.Now.NodeId = "id-node001"
	r.publish(r.other, subject.HardwareOf("id-node001"), other)
	r.until("own word is forgotten for it", func() bool { return r.known("node001").Now.GetMemoryBytes() == 16<<30 })
}

func TestKnownHosts(t *testing.T) {
	r := newRoom(t)
	r.object("node", "id-node002", &inventoryv1.Node{Id: "id-node002", Name: "node002", GroupId: "G1", Addresses: []*inventoryv1.NodeAddress{
		{Interface: "BOOTIF", NetworkId: "N1", Address: "127.0.0.2"}, {Interface: "ib0", NetworkId: "N1", Address: "127.1.0.2"}, {Interface: "BMC", NetworkId: "N1", Address: "127.2.0.2"}}})
	for _, node := range []string{"id-node001", "id-node002", "id-deleted"} {
		rec := &bootscriptv1.HardwareRecord{Now: &bootscriptv1.Hardware{NodeId: node, HostKeys: []string{hostKey}}}
		r.publish(r.other, subject.HardwareOf(node), rec)
	}
	list := func(after string) *bootscriptv1.KnownHostsReply {
		return ask(r, "hardware", "knownhosts", &bootscriptv1.KnownHostsRequest{After: after}, &bootscriptv1.KnownHostsReply{})
	}
	want := "node001,node001.cluster,127.0.0.1 " + hostKey + "\nnode002,node002.cluster,127.0.0.2,127.1.0.2 " + hostKey
	r.until("both nodes are listed", func() bool { return len(list("").Lines) == 2 })
	if rep := list(""); strings.Join(rep.Lines, "\n") != want || rep.Next != "" {
		t.Errorf("%v", rep)
	}
	if rep := list("node001"); len(rep.Lines) != 1 || !strings.HasPrefix(rep.Lines[0], "node002,") {
		t.Errorf("%v", rep)
	}
	r.node("node003", "127.0.0.3", "")
	long := make([]string, 16)
	for i := range long {
		long[i] = hostKey + strings.Repeat("A", 60<<10)
	}
	for _, node := range []string{"id-node001", "id-node003"} {
		r.publish(r.other, subject.HardwareOf(node), &bootscriptv1.HardwareRecord{Now: &bootscriptv1.Hardware{NodeId: node, HostKeys: long[:14]}})
	}
	r.until("a page is full", func() bool { return list("").Next != "" })
	var lines int
	after := ""
	for range 3 {
		rep := list(after)
		lines += len(rep.Lines)
		if after = rep.Next; after == "" {
			break
		}
	}
	if lines != 29 || after != "" {
		t.Errorf("%d lines, next %q", lines, after)
	}
}
