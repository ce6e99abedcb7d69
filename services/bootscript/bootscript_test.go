package bootscript

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/subject"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

func TestABootFromMenuToSuccess(t *testing.T) {
	r := newRoom(t)
	rel := r.release("kernel", "initrd", "torrent", "manifest")
	r.until("the release is here", func() bool { code, _ := r.get("/boot/compute-vmlinuz-6.1.0-9"); return code == 200 })
	if code, menu := r.get("/luna?step=boot"); code != 200 || !strings.HasPrefix(menu, "#!ipxe\n") {
		t.Fatal(code, menu)
	}
	script := r.armed(mac1, discovery)
	boot, tok := word(script, "luna.boot"), word(script, "luna.token")
	if word(script, "luna.manifest") != rel.Manifest || word(script, "luna.ip") != "127.0.0.1/8" {
		t.Fatal(script)
	}
	for _, file := range []struct{ path, want string }{
		{"/boot/compute-initrd-6.1.0-9", "initrd"}, {"/boot/" + rel.Manifest, "manifest"}, {"/boot/" + rel.Torrent, "torrent"},
		{word(strings.ReplaceAll(script, "kernel http", "kernel=http"), "kernel")[len(r.url("")):], "kernel"},
	} {
		if code, body := r.get(file.path); code != 200 || body != file.want {
			t.Errorf("%s: %d %q", file.path, code, body)
		}
	}
	if code, body := r.report("node001", tok, &bootscriptv1.Report{BootId: boot, Name: "agent.start", State: bootscriptv1.State_STATE_OK, Id: "a"}); code != 200 || body != "ok\n" {
		t.Fatal(code, body)
	}
	code, install := r.get("/luna?step=install&node=node001")
	if code != 200 || !strings.Contains(install, "luna-agent payload --manifest "+rel.Manifest+" --torrent "+rel.Torrent+" ") {
		t.Fatal(code, install)
	}
	if code, body := r.get("/luna?step=install&node=node001&status=install.prescript"); code != 200 || body != "ok\n" {
		t.Fatal(code, body)
	}
	for range 2 { // the node did not hear the first answer
		if code, body := r.report("node001", tok, &bootscriptv1.Report{BootId: boot, Name: "install.success", State: bootscriptv1.State_STATE_OK, Id: "b"}); code != 200 {
			t.Fatal(code, body)
		}
	}
	show := r.show("node001")
	want := "boot.request/ok/exchange boot.discovery/ok/exchange agent.start/ok/token install.prescript/ok/address install.success/ok/token"
	if got := names(show.Steps); show.BootId != boot || got != want {
		t.Errorf("boot %s:\n got %s\nwant %s", show.BootId, got, want)
	}
	why := ask(r, "boot", "why", &bootscriptv1.BootWhyRequest{Node: "node001"}, &bootscriptv1.BootWhyReply{})
	if !why.Ok || !strings.HasPrefix(why.Summary, "node001 booted compute at ") {
		t.Errorf("%v", why)
	}
	r.until("all steps are in the stream", func() bool { return r.messages(subject.Boots) == r.steps("node001") })
}

func (r *room) here(path string) {
	r.t.Helper()
	r.until(path+" is here", func() bool { code, _ := r.get(path); return code == http.StatusOK })
}

func TestAReleaseIsCurrentOnceItIsWhole(t *testing.T) {
	r := newRoom(t)
	_, script := r.get(discovery)
	if !strings.Contains(script, "node001 cannot boot: osimage compute: it was not packed yet\n") {
		t.Fatal(script)
	}
	if code, body := r.get("/luna?step=install&node=node001"); code != 503 || body != "node node001 cannot be installed: osimage compute: it was not packed yet\n" {
		t.Fatal(code, body)
	}
	r.get(discovery) // says nothing new
	if got := names(r.show("node001").Steps); got != "boot.request/ok/address boot.discovery/failed/address boot.request/ok/address" && got != "boot.request/ok/address boot.discovery/failed/address" {
		t.Fatal(got)
	}
	first := r.release("kernel", "initrd", "torrent", "manifest")
	r.here("/boot/" + first.Manifest)
	r.here("/boot/compute-vmlinuz-6.1.0-9")
	second := r.describe("kernel", "initrd 2", "torrent 2", "manifest 2")
	all := &imagepackerv1.Releases{OsimageId: "O1", Current: second.Manifest, Releases: []*imagepackerv1.Release{first, second}}
	r.store(release.Digest(second.Initrd).Hex(), "not the initrd")
	r.store(release.Digest(second.Torrent).Hex(), "torrent 2")
	r.publish(r.packer, subject.Release("O1"), all)
	r.here("/boot/" + second.Torrent)
	if _, script := r.get(discovery); word(script, "luna.manifest") != first.Manifest {
		t.Fatal("nodes get a release that is not whole", script)
	}
	if code, _ := r.get("/boot/" + second.Initrd); code != 404 {
		t.Fatal("a file with another digest is served", code)
	}
	r.store(release.Digest(second.Initrd).Hex(), "initrd 2")
	r.store(release.Digest(second.Manifest).Hex(), "manifest 2")
	r.until("nodes get the second release", func() bool {
		_, script := r.get(discovery)
		return word(script, "luna.manifest") == second.Manifest
	})
	all.Releases = all.Releases[1:]
	r.publish(r.packer, subject.Release("O1"), all)
	r.until("the first release is gone", func() bool { code, _ := r.get("/boot/" + first.Manifest); return code == 404 })
	if code, body := r.get("/boot/" + second.Kernel); code != 200 || body != "kernel" {
		t.Fatal("a file of both releases is gone", code, body)
	}
}

func TestStrangersAreNotedAndNotBelieved(t *testing.T) {
	r := newRoom(t)
	r.release("kernel", "initrd", "torrent", "manifest")
	r.here("/boot/compute-vmlinuz-6.1.0-9")
	if code, body := r.get("/luna?step=discovery&hwdata=PC-7|52:54:00:00:00:99"); code != 404 || body != "no node has the MAC address 52:54:00:00:00:99\n" {
		t.Fatal(code, body)
	}
	list := ask(r, "discover", "list", &bootscriptv1.DiscoverListRequest{}, &bootscriptv1.DiscoverListReply{})
	if len(list.Machines) != 1 || list.Machines[0].Asset != "PC-7" || list.Machines[0].Mac != "52:54:00:00:00:99" {
		t.Fatal(list)
	}
	r.until("the stream has the machine", func() bool { return r.messages(subject.Seen) == 1 })
	// An asset tag that looks like a node's MAC is no MAC.
	if code, _ := r.get("/luna?step=discovery&hwdata=" + mac1 + "|52:54:00:00:00:99"); code != 404 {
		t.Fatal(code)
	}
	if code, _ := r.get("/luna?step=discovery&hwdata=" + mac1); code != 400 {
		t.Fatal(code)
	}
	r.node("node002", "127.0.0.2", mac2) // not this machine's address
	r.until("node002 is known", func() bool { code, _ := r.get("/luna?step=install&node=node002"); return code == 200 })
	rep := &bootscriptv1.Report{Name: "agent.start", State: bootscriptv1.State_STATE_OK, Id: "a"}
	if code, body := r.report("node002", "", rep); code != 403 || !strings.HasPrefix(body, "a report counts only from") {
		t.Fatal(code, body)
	}
	if code, _ := r.get("/luna?step=install&node=node002&status=install.success"); code != 403 {
		t.Fatal(code)
	}
	script := r.armed(mac1, discovery)
	if code, _ := r.report("node002", word(script, "luna.token"), rep); code != 403 {
		t.Fatal("another node's token is believed", code)
	}
	if show := r.show("node002"); len(show.Steps) != 0 {
		t.Fatal(show)
	}
	if _, script := r.get("/luna?step=discovery&hwdata=|" + mac2); word(script, "luna.boot") == "" || word(script, "luna.token") != "" {
		t.Fatal(script)
	}
}

func TestTokenIsGoodFromAnywhereUntilItsBootIsOver(t *testing.T) {
	r := newRoom(t)
	r.release("kernel", "initrd", "torrent", "manifest")
	r.node("node002", "127.0.0.2", mac2)
	r.here("/boot/compute-vmlinuz-6.1.0-9")
	path := "/luna?step=discovery&hwdata=|" + mac2
	say := func(bearer, id, name string) int {
		code, _ := r.report("node002", bearer, &bootscriptv1.Report{Name: name, State: bootscriptv1.State_STATE_OK, Id: id})
		return code
	}
	first := word(r.armed(mac2, path), "luna.token")
	if code := say(first, "a", "agent.start"); code != 200 {
		t.Fatal(code)
	}
	if _, script := r.get(path); word(script, "luna.token") != "" {
		t.Fatal("one exchange armed twice")
	}
	second := word(r.armed(mac2, path), "luna.token")
	if code := say(first, "b", "agent.network"); code != 403 {
		t.Fatal("a token outlives its boot", code)
	}
	if code := say(second, "c", "install.success"); code != 200 {
		t.Fatal(code)
	}
	if code := say(second, "d", "agent.start"); code != 403 {
		t.Fatal("a token outlives install.success", code)
	}
}

func TestANodeIsPickedByHand(t *testing.T) {
	r := newRoom(t)
	r.release("kernel", "initrd", "torrent", "manifest")
	sequence := r.node("node003", "127.0.0.3", "")
	r.here("/boot/compute-vmlinuz-6.1.0-9")
	bound := r.inventory(sequence)
	path := func(node string) string { return "/luna?step=discovery&hwdata=PC|" + mac2 + "&node=" + node }
	r.until("node003 is known", func() bool { code, _ := r.get(path("node003")); return code != 404 })
	if code, body := r.get(path("nobody")); code != 404 || body != "there is no node \"nobody\"\n" {
		t.Fatal(code, body)
	}
	if code, body := r.get(path("node001")); code != 409 || !strings.Contains(body, "node node001 has the MAC address "+mac1) {
		t.Fatal(code, body)
	}
	if code, body := r.get(path("node003")); code != 403 || !strings.Contains(body, "has not been through DHCP") {
		t.Fatal(code, body)
	}
	script := r.armed(mac2, path("node003"))
	if got := <-bound; got.Name != "node003" || got.GetMac() != mac2 || word(script, "luna.mac") != mac2 {
		t.Fatal(got, script)
	}
	show := r.show("node003")
	if got := names(show.Steps); got != "boot.request/ok/exchange boot.mac_assigned/ok/exchange boot.discovery/ok/exchange" {
		t.Fatal(got)
	}
}

// inventory answers one node.change as the inventory does.
func (r *room) inventory(sequence uint64) <-chan *inventoryv1.NodeChangeRequest {
	asked := make(chan *inventoryv1.NodeChangeRequest, 1)
	svc := bus.NewService(r.connect("inventory"), "inventory", "test", bus.Handle("node", "change",
		func(_ context.Context, _ bus.Call, req *inventoryv1.NodeChangeRequest) (*inventoryv1.ChangeReply, error) {
			if req.IfRevision != sequence {
				return nil, fault.Conflictf("node %s was changed meanwhile", req.Name)
			}
			asked <- req
			return &inventoryv1.ChangeReply{Revision: r.node(req.Name, "127.0.0.3", req.GetMac())}, nil
		}))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- svc.Run(ctx) }()
	r.t.Cleanup(func() { cancel(); <-done })
	return asked
}

func TestNodesBootWhileTheBusIsDead(t *testing.T) {
	r := newRoom(t)
	r.release("kernel", "initrd", "torrent", "manifest")
	r.here("/boot/compute-vmlinuz-6.1.0-9")
	first := word(r.armed(mac1, discovery), "luna.boot")
	rep := func(id string) {
		t.Helper()
		if code, body := r.report("node001", "", &bootscriptv1.Report{BootId: first, Name: "install.prescript", State: bootscriptv1.State_STATE_OK, Id: id}); code != 200 {
			t.Fatal(code, body)
		}
	}
	rep("a")
	r.srv.Restart(t, func() {
		rep("b")
		r.stop()
		r.startDead()
		rep("b") // once more after the restart
		rep("c")
		if _, script := r.get(discovery); word(script, "luna.boot") == "" {
			t.Error(script)
		}
		if code, body := r.get("/boot/compute-initrd-6.1.0-9"); code != 200 || body != "initrd" {
			t.Error(code, body)
		}
	})
	r.until("the bus is back", func() bool {
		_, err := bus.Request(within(t), r.other, subject.Command("bootscript", "boot", "list"), &bootscriptv1.BootListRequest{}, &bootscriptv1.BootListReply{})
		return err == nil
	})
	r.until("all steps are in the stream", func() bool { return r.messages(subject.Boots) == r.steps("node001") })
	show := ask(r, "boot", "show", &bootscriptv1.BootShowRequest{Node: "node001", BootId: first}, &bootscriptv1.BootShowReply{})
	for i, s := range show.Steps {
		if s.N != uint64(i+1) || s.Head != "head1" {
			t.Errorf("step %d has number %d", i+1, s.N)
		}
	}
	if got := strings.Count(names(show.Steps), "install.prescript"); got != 3 {
		t.Errorf("%d reports kept: %s", got, names(show.Steps))
	}
}

func TestOtherAnswers(t *testing.T) {
	r := newRoom(t)
	r.release("kernel", "initrd", "torrent", "manifest")
	r.here("/boot/compute-vmlinuz-6.1.0-9")
	if _, text := r.get(discovery + "&type=syslinux"); !strings.HasPrefix(text, "DEFAULT luna\n") {
		t.Error(text)
	}
	if code, text := r.get("/luna?step=choose&page=99"); code != 200 || !strings.Contains(text, "item node001 node001 has "+mac1+"\n") {
		t.Error(code, text)
	}
	for path, want := range map[string]int{"/luna": 404, "/luna?step=x": 404, "/luna?step=install": 404, "/boot/x": 404, "/boot/..%2fstate.db": 404,
		"/boot/compute-vmlinuz-5": 404, "/boot/other-vmlinuz-6.1.0-9": 404, "/boot/sha256:00": 404, "/boot/snponly.efi": 200, "/x": 404} {
		if code, body := r.get(path); code != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	r.testHeads(t)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, path := range []string{"/announce?info_hash=%00%ff&port=1", "/scrape", "/torrents/aa.torrent"} {
		resp, err := client.Get(r.url(path))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Location"); resp.StatusCode != 307 || got != "http://127.0.0.1:7051"+path {
			t.Errorf("%s: %d %s", path, resp.StatusCode, got)
		}
	}
	for script, want := range map[string]string{"boot": "#!ipxe\n", "install": "#!/bin/bash\n"} {
		rep := ask(r, "script", "show", &bootscriptv1.ScriptRequest{Node: "node001", Script: script}, &bootscriptv1.ScriptReply{})
		if !strings.HasPrefix(rep.Text, want) || word(rep.Text, "luna.boot")+word(rep.Text, "luna.token") != "" {
			t.Errorf("%s", rep.Text)
		}
	}
	r.node("node002", "127.0.0.2", "")
	r.until("the list has both nodes", func() bool {
		list := ask(r, "boot", "list", &bootscriptv1.BootListRequest{Limit: 1}, &bootscriptv1.BootListReply{})
		return list.Next == "node001" && len(list.Boots) == 1 && list.Boots[0].Last.GetReport().GetName() == "boot.discovery"
	})
	list := ask(r, "boot", "list", &bootscriptv1.BootListRequest{After: "node001"}, &bootscriptv1.BootListReply{})
	if len(list.Boots) != 1 || list.Boots[0].Summary != "node002 never asked for a boot" || list.Next != "" {
		t.Error(list)
	}
}

// testHeads checks what UEFI HTTP boot and range requests need.
func (r *room) testHeads(t *testing.T) {
	resp, err := http.Head(r.url("/boot/snponly.efi"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || resp.ContentLength != 6 || resp.Header.Get("Content-Type") != "application/efi" {
		t.Error(resp)
	}
	req, err := http.NewRequestWithContext(within(t), http.MethodGet, r.url("/boot/compute-initrd-6.1.0-9"), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Range", "bytes=2-3")
	if code, body := r.read(http.DefaultClient.Do(req)); code != 206 || body != "it" {
		t.Error(code, body)
	}
}
