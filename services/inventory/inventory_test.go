package inventory_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

func TestReadmesCluster(t *testing.T) {
	r := newRoom(t)
	r.describe()
	for i := 1; i <= 3; i++ {
		n := r.do("node", "add", &inventoryv1.NodeAddRequest{Group: "compute"}).Objects[0].GetNode()
		if want := fmt.Sprintf("node%03d", i); n.Name != want || address(n) != fmt.Sprintf("10.30.0.%d", i) {
			t.Errorf("node %s has %s", n.Name, address(n))
		}
	}
	mac := "52:54:00:AA:00:01"
	r.do("node", "change", &inventoryv1.NodeChangeRequest{Name: "node002", Mac: &mac})
	if n := r.node("node002"); n.Mac != strings.ToLower(mac) || address(n) != "10.30.0.2" {
		t.Errorf("got %v", n)
	}
	r.refused(fault.Conflict, "node002", "node", "change", &inventoryv1.NodeChangeRequest{Name: "node001", Mac: &mac})
}

func TestWrongInputIsNamed(t *testing.T) {
	r := newRoom(t)
	r.refused(fault.Invalid, "frontend_address", "cluster", "init", &inventoryv1.ClusterInitRequest{})
	r.refused(fault.Invalid, "IPv4", "cluster", "init", &inventoryv1.ClusterInitRequest{FrontendAddress: "fd00::1"})
	r.describe()
	r.refused(fault.Conflict, "already", "cluster", "init", &inventoryv1.ClusterInitRequest{FrontendAddress: "10.30.255.254"})
	r.refused(fault.Invalid, "prefix", "network", "add", &inventoryv1.NetworkAddRequest{Name: "x", Network: "10.31.0.0", Prefix: 40})
	r.refused(fault.Conflict, "cluster", "network", "add", &inventoryv1.NetworkAddRequest{Name: "x", Network: "10.30.7.0", Prefix: 24})
	r.refused(fault.Invalid, "10.31.0.1", "cluster", "makedhcp", &inventoryv1.ClusterMakedhcpRequest{Network: "cluster", StartIp: "10.31.0.1", EndIp: "10.31.0.9"})
	r.refused(fault.Conflict, "the head", "cluster", "makedhcp", &inventoryv1.ClusterMakedhcpRequest{Network: "cluster", StartIp: "10.30.255.1", EndIp: "10.30.255.255"})
	r.refused(fault.NotFound, "nosuch", "node", "add", &inventoryv1.NodeAddRequest{Group: "nosuch"})
	r.refused(fault.Invalid, "MAC", "node", "add", &inventoryv1.NodeAddRequest{Group: "compute", Mac: "zz"})
	r.refused(fault.Invalid, "name", "node", "add", &inventoryv1.NodeAddRequest{Group: "compute", Name: "$(reboot)"})
	r.refused(fault.Conflict, "DHCP range", "node", "add", &inventoryv1.NodeAddRequest{Group: "compute", Ip: "10.30.128.7"})
	r.refused(fault.Conflict, "compute", "osimage", "delete", &inventoryv1.DeleteRequest{Name: "compute"})
	r.refused(fault.Conflict, "compute", "network", "delete", &inventoryv1.DeleteRequest{Name: "cluster"})
}

func TestMisspeltFieldIsRefused(t *testing.T) {
	r := newRoom(t)
	msg, err := r.conn.NATS.RequestWithContext(r.ctx(), subject.Command("inventory", "node", "add"), []byte(`{"gruop":"compute"}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := msg.Header.Get("Nats-Service-Error"); !strings.Contains(got, "gruop") || msg.Header.Get("Nats-Service-Error-Code") != "400" {
		t.Fatalf("got %q", got)
	}
}

func TestFreedAddressRests(t *testing.T) {
	r := newRoom(t)
	r.describe()
	r.do("node", "add", &inventoryv1.NodeAddRequest{Group: "compute"})
	r.do("node", "delete", &inventoryv1.DeleteRequest{Name: "node001"})
	n := r.do("node", "add", &inventoryv1.NodeAddRequest{Group: "compute"}).Objects[0].GetNode()
	if address(n) != "10.30.0.2" {
		t.Fatalf("node got %s", address(n))
	}
	r.refused(fault.Conflict, "given up", "node", "add", &inventoryv1.NodeAddRequest{Group: "compute", Ip: "10.30.0.1"})
}

func TestHeadsAndReservationsTakeNoNodesAddress(t *testing.T) {
	r := newRoom(t)
	r.describe()
	r.do("node", "add", &inventoryv1.NodeAddRequest{Group: "compute"})
	for _, c := range []struct{ part, address string }{{"node001", "10.30.0.1"}, {"DHCP range", "10.30.128.1"}} {
		r.refused(fault.Conflict, c.part, "cluster", "change", &inventoryv1.ClusterChangeRequest{FrontendAddress: &c.address})
		r.refused(fault.Conflict, c.part, "cluster", "change", &inventoryv1.ClusterChangeRequest{ClusterIps: proto.String("10.30.255.253," + c.address)})
	}
	r.refused(fault.Conflict, "node001", "network", "change", &inventoryv1.NetworkChangeRequest{Name: "cluster", Reserve: proto.String("10.30.0.1")})
	r.do("network", "change", &inventoryv1.NetworkChangeRequest{Name: "cluster", Reserve: proto.String("10.30.0.2")})
	r.do("cluster", "change", &inventoryv1.ClusterChangeRequest{FrontendAddress: proto.String("10.30.0.3"), ClusterIps: proto.String("10.30.0.4")})
	r.do("cluster", "change", &inventoryv1.ClusterChangeRequest{Comment: proto.String("its own addresses are no hindrance")})
	if n := r.do("node", "add", &inventoryv1.NodeAddRequest{Group: "compute"}).Objects[0].GetNode(); address(n) != "10.30.0.5" {
		t.Errorf("got %v", n)
	}
}

func TestSecondEditorIsTold(t *testing.T) {
	r := newRoom(t)
	r.describe()
	show, err := bus.Request(r.ctx(), r.conn, subject.Command("inventory", "group", "show"), &inventoryv1.ShowRequest{Name: "compute"}, &inventoryv1.ShowReply{})
	if err != nil {
		t.Fatal(err)
	}
	seen := show.Object.Sequence
	r.do("group", "change", &inventoryv1.GroupChangeRequest{Name: "compute", Prescript: proto.String("echo 1\n"), IfRevision: seen})
	r.refused(fault.Conflict, "changed meanwhile", "group", "change", &inventoryv1.GroupChangeRequest{Name: "compute", Prescript: proto.String("echo 2\n"), IfRevision: seen})
}

func TestNetworkOnInterfaceGivesAllNodesAddresses(t *testing.T) {
	r := newRoom(t)
	r.describe()
	r.do("network", "add", &inventoryv1.NetworkAddRequest{Name: "storage", Network: "fd00:1::", Prefix: 64})
	r.do("node", "add", &inventoryv1.NodeAddRequest{Group: "compute", Count: 20})
	r.do("group", "change", &inventoryv1.GroupChangeRequest{Name: "compute", Interface: "ib0", InterfaceAdd: true, Setnet: "storage"})
	n := r.node("node020")
	if len(n.Addresses) != 2 || n.Addresses[1].Address != "fd00:1::14" || n.Addresses[1].Interface != "ib0" {
		t.Fatalf("got %v", n.Addresses)
	}
	r.do("group", "change", &inventoryv1.GroupChangeRequest{Name: "compute", Interface: "ib0", Delnet: "storage"})
	if n := r.node("node020"); len(n.Addresses) != 1 {
		t.Fatalf("got %v", n.Addresses)
	}
}

func TestTwoInventoriesGiveNoAddressTwice(t *testing.T) {
	r := newRoom(t)
	r.describe()
	r.startInventory(r.srv.Connect(r.t, "inventory"))
	const clients, each = 8, 12
	var (
		wg sync.WaitGroup
		mu sync.Mutex
	)
	owner := map[string]string{}
	for range clients {
		wg.Go(func() {
			for range each {
				rep, err := r.try("node", "add", &inventoryv1.NodeAddRequest{Group: "compute"})
				if err != nil {
					t.Error(err)
					return
				}
				n := rep.Objects[0].GetNode()
				mu.Lock()
				if other := owner[address(n)]; other != "" {
					t.Errorf("%s and %s have %s", other, n.Name, address(n))
				}
				owner[address(n)] = n.Name
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(owner) != clients*each {
		t.Fatalf("%d addresses for %d nodes", len(owner), clients*each)
	}
}

func TestThousandNodesAreOneChange(t *testing.T) {
	r := newRoom(t)
	r.describe()
	rep := r.do("node", "add", &inventoryv1.NodeAddRequest{Group: "compute", Count: 1000})
	if len(rep.Objects) != 100 {
		t.Fatalf("%d objects in the reply", len(rep.Objects))
	}
	history, err := bus.Request(r.ctx(), r.conn, subject.Command("inventory", "history", "list"), &inventoryv1.HistoryRequest{CommandId: rep.CommandId}, &inventoryv1.HistoryReply{})
	if err != nil || history.Changes[0].Revision != rep.Revision {
		t.Fatalf("%v %v", history, err)
	}
	var names []string
	for after := ""; ; {
		list, err := bus.Request(r.ctx(), r.conn, subject.Command("inventory", "node", "list"), &inventoryv1.ListRequest{After: after}, &inventoryv1.ListReply{})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range list.Objects {
			names = append(names, o.GetNode().Name)
		}
		if after = list.Next; after == "" {
			break
		}
	}
	if len(names) != 1000 || names[0] != "node001" || names[999] != "node999" {
		t.Fatalf("%d nodes, %s to %s", len(names), names[0], names[len(names)-1])
	}
}
