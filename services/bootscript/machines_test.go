package bootscript

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/subject"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	switchpollerv1 "github.com/luna-hpc/luna/proto/switchpoller/v1"
)

const mac3 = "52:54:00:00:00:03"

// onPort adds a node that is configured for a port of switch S1.
func (r *room) onPort(name, address, mac, port string) uint64 {
	return r.object("node", "id-"+name, &inventoryv1.Node{Id: "id-" + name, Name: name, GroupId: "G1", Mac: mac, SwitchId: "S1", Port: port,
		Addresses: []*inventoryv1.NodeAddress{{Interface: "BOOTIF", NetworkId: "N1", Address: address}}})
}

// saw says that a switch has seen a MAC.
func (r *room) saw(poller *bus.Conn, mac, port string, number uint32, until time.Time) {
	r.publish(poller, subject.SwitchMAC("S1", strings.ReplaceAll(mac, ":", "")), &switchpollerv1.Seen{
		SwitchId: "S1", Mac: mac, PortName: port, PortNumber: number, ExpiresAt: until.UTC().Format(time.RFC3339)})
}

func TestAMachineIsTheNodeOfItsSwitchPort(t *testing.T) {
	for by, port := range map[string]string{"name": "Te1/7", "number": "12"} {
		t.Run(by, func(t *testing.T) {
			r := newRoom(t)
			r.release("kernel", "initrd", "torrent", "manifest")
			poller := r.connect("switch-poller")
			r.object("switch", "S1", &inventoryv1.Switch{Id: "S1", Name: "switch01", NetworkId: "N1"})
			sequence := r.onPort("node003", "127.0.0.3", "", port)
			r.here("/boot/compute-vmlinuz-6.1.0-9")
			bound := r.inventory(sequence)
			path := "/luna?step=discovery&hwdata=PC|" + mac2 + "|" + mac3
			r.saw(poller, mac3, "Te1/7", 12, time.Now().Add(-time.Minute))
			if code, body := r.get(path); code != 404 {
				t.Fatal("an entry that is over decides", code, body)
			}
			r.saw(poller, mac3, "Te1/7", 12, time.Now().Add(time.Minute))
			r.until("the place is known", func() bool { code, _ := r.get(path); return code == 403 })
			script := r.armed(mac2, path)
			if got := <-bound; got.Name != "node003" || got.GetMac() != mac2 || word(script, "luna.node") != "node003" {
				t.Fatal(got, script)
			}
			last := r.show("node003").Steps
			if got := names(last); got != "boot.request/ok/exchange boot.mac_assigned/ok/exchange boot.discovery/ok/exchange" {
				t.Fatal(got)
			}
			if got := last[1].Report.Values["port"]; got != "switch switch01 port Te1/7 (12)" {
				t.Error(got)
			}
		})
	}
}

func TestConflictsOfPortsAreRefusedAndShown(t *testing.T) {
	r := newRoom(t)
	poller := r.connect("switch-poller")
	r.object("switch", "S1", &inventoryv1.Switch{Id: "S1", Name: "switch01", NetworkId: "N1"})
	r.onPort("node003", "127.0.0.3", "", "Te1/7")
	r.onPort("node004", "127.0.0.4", "", "Te1/8")
	r.onPort("node005", "127.0.0.5", "52:54:00:00:00:55", "Te1/9")
	for _, c := range []struct {
		ports [2]string
		want  string
	}{
		{[2]string{"Te1/7", "Te1/8"}, "the machine is on switch switch01 port Te1/7 (2), the port of node node003, and on switch switch01 port Te1/8 (3), the port of node node004"},
		{[2]string{"Te1/9", "Te1/6"}, "the machine is on switch switch01 port Te1/9 (2), the port of node node005, which has the MAC address 52:54:00:00:00:55"},
	} {
		r.saw(poller, mac2, c.ports[0], 2, time.Now().Add(time.Minute))
		r.saw(poller, mac3, c.ports[1], 3, time.Now().Add(time.Minute))
		r.until(c.want, func() bool {
			code, body := r.get("/luna?step=discovery&hwdata=PC|" + mac2 + "|" + mac3)
			return code == 409 && body == c.want+"\n"
		})
		list := ask(r, "discover", "list", &bootscriptv1.DiscoverListRequest{}, &bootscriptv1.DiscoverListReply{})
		if len(list.Machines) != 1 || list.Machines[0].Refused != c.want || len(list.Machines[0].Places) != 2 {
			t.Fatal(list)
		}
	}
}

func TestSecretsAreToldOnceToTheBootsToken(t *testing.T) {
	r := newRoom(t)
	r.release("kernel", "initrd", "torrent", "manifest")
	r.secret("P1", "hush-hush")
	r.object("bmcsetup", "B1", &inventoryv1.Bmcsetup{Id: "B1", Name: "base", User: "ladmin", PasswordId: "P1", Userid: 3, Netchannel: 1, Mgmtchannel: 1})
	r.object("network", "N2", &inventoryv1.Network{Id: "N2", Name: "ipmi", Cidr: "10.31.0.0/16"})
	r.object("group", "G1", &inventoryv1.Group{Id: "G1", Name: "compute", OsimageId: "O1", BmcsetupId: "B1"})
	r.object("node", "id-node001", &inventoryv1.Node{Id: "id-node001", Name: "node001", GroupId: "G1", Mac: mac1, Setupbmc: true,
		Addresses: []*inventoryv1.NodeAddress{{Interface: "BOOTIF", NetworkId: "N1", Address: "127.0.0.1"}, {Interface: "BMC", NetworkId: "N2", Address: "10.31.0.1"}}})
	r.here("/boot/compute-vmlinuz-6.1.0-9")
	secret := func(bearer string) (int, string) {
		req, err := http.NewRequestWithContext(within(t), http.MethodGet, r.url("/luna?step=secret&node=node001"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if bearer != "" {
			req.Header.Set("Authorization", "Bearer "+bearer)
		}
		return r.read(http.DefaultClient.Do(req))
	}
	token := word(r.armed(mac1, discovery), "luna.token")
	if code, body := secret(""); code != 403 {
		t.Error("told to the node's address", code, body)
	}
	if code, body := secret(token + "x"); code != 403 {
		t.Error("told to a wrong token", code, body)
	}
	if code, body := secret(token); code != 200 || body != `{"bmc_password":"hush-hush"}`+"\n" {
		t.Error(code, body)
	}
	if code, body := secret(token); code != 403 || !strings.Contains(body, "already") {
		t.Error("told twice", code, body)
	}
	_, script := r.get("/luna?step=install&node=node001")
	if !strings.Contains(script, `{"address":"10.31.0.1/16","gateway":"","user":"ladmin"`) || strings.Contains(script, "hush") {
		t.Error(script)
	}
	r.stop()
	r.start()
	if code, _ := secret(token); code != 403 {
		t.Error("told again after a restart")
	}
	again := word(r.armed(mac1, discovery), "luna.token")
	if code, body := r.report("node001", again, &bootscriptv1.Report{Name: "install.success", State: bootscriptv1.State_STATE_OK}); code != 200 {
		t.Fatal(code, body)
	}
	if code, body := secret(again); code != 403 {
		t.Error("told after the end of the boot", code, body)
	}
}
