package transfer_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/blueprint"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/secret"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
	"github.com/luna-hpc/luna/services/inventory/internal/transfer"
)

// house is an inventory in memory.
type house struct {
	testing.TB
	*catalog.Layer
	now time.Time
}

func newHouse(t testing.TB) *house {
	return &house{TB: t, Layer: catalog.Over(catalog.View{}), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// try imports a text and keeps what it writes.
func (h *house) try(text string, o transfer.Options) (*change.Draft, error) {
	h.Helper()
	b, err := blueprint.Decode([]byte(text))
	if err != nil {
		return nil, err
	}
	d := change.NewDraft(h.View, secret.Key{}, h.now)
	if err := transfer.Decide(d, b, o); err != nil {
		return nil, err
	}
	return d, h.keep(d)
}

// keep writes a draft.
func (h *house) keep(d *change.Draft) error {
	type write struct {
		id string
		m  proto.Message
	}
	then, err := d.Then()
	if err != nil {
		return err
	}
	var puts []write
	for _, w := range d.Touched() {
		if w.Deleted {
			if err := h.Delete(catalog.Noun(w.Noun), w.Id); err != nil {
				return err
			}
			continue
		}
		o, err := then.Object(catalog.Noun(w.Noun), w.Id)
		if err != nil {
			return err
		}
		_, m := catalog.Unwrap(o)
		puts = append(puts, write{w.Id, m})
	}
	for _, p := range puts {
		if err := h.Put(p.id, p.m); err != nil {
			return err
		}
	}
	return nil
}

func (h *house) load(text string, o transfer.Options) *change.Draft {
	h.Helper()
	d, err := h.try(text, o)
	if err != nil {
		h.Fatalf("%v\n%s", err, text)
	}
	return d
}

func (h *house) export() string {
	h.Helper()
	b, err := transfer.Export(h.View)
	if err != nil {
		h.Fatal(err)
	}
	text, err := b.Encode()
	if err != nil {
		h.Fatal(err)
	}
	return string(text)
}

func (h *house) addresses(name string) (all []string) {
	h.Helper()
	n, err := h.NodeNamed(name)
	if err != nil {
		h.Fatal(err)
	}
	for _, a := range n.GetAddresses() {
		all = append(all, a.Interface+" "+a.Address)
	}
	return all
}

const room = `
cluster: {frontend_address: 10.30.255.254}
networks:
  cluster: {network: 10.30.0.0/16, gateway: 10.30.255.254, reserved: [10.30.0.9], dhcp_range: {start: 10.30.128.1, end: 10.30.128.9}}
  ipmi: {network: 10.31.0.0/16}
  storage: {network: "fd00:1::/64"}
osimages:
  compute: {path: /opt/luna/os/compute, head: head}
bmcsetups:
  base: {password: s3cret}
switches:
  sw1: {network: ipmi, ip: 10.31.253.1, read: c0mmunity}
otherdevs:
  pdu: {addresses: {ipmi: 10.31.253.2}}
groups:
  compute:
    osimage: compute
    bmcsetup: base
    interfaces:
    - {name: BOOTIF, networks: [cluster, storage]}
    - {name: BMC, networks: [ipmi]}
nodes:
  n1: {group: compute, mac: "52:54:00:00:00:01", switch: sw1, port: 1, addresses: {BOOTIF: 10.30.0.1}}
  n2: {group: compute, mac: "52:54:00:00:00:02"}
`

func TestTextBecomesTheInventory(t *testing.T) {
	h := newHouse(t)
	d := h.load(room, transfer.Options{})
	if want := "added 1 cluster, 3 networks, 1 osimage, 1 bmcsetup, 1 switch, 1 otherdev, 1 group, 2 nodes"; !slices.Equal(d.Notes(), []string{want}) {
		t.Errorf("%q", d.Notes())
	}
	if got, want := h.addresses("n1"), []string{"BOOTIF 10.30.0.1", "BOOTIF fd00:1::1", "BMC 10.31.0.1"}; !slices.Equal(got, want) {
		t.Errorf("n1 has %q", got)
	}
	if got, want := h.addresses("n2"), []string{"BOOTIF 10.30.0.2", "BOOTIF fd00:1::2", "BMC 10.31.0.2"}; !slices.Equal(got, want) {
		t.Errorf("n2 has %q", got)
	}
	c, err := h.Cluster()
	if err != nil || c.FrontendPort != 7050 || c.TokenKeyId == "" {
		t.Errorf("%v, %v", c, err)
	}
	if again := h.load(room, transfer.Options{Prune: true}); !again.Empty() {
		t.Errorf("the second time %v", again.Touched())
	}
	if strings.Contains(h.export(), "s3cret") || strings.Contains(h.export(), "c0mmunity") {
		t.Error(h.export())
	}
}

// mistakes are texts over the room, with what is said of them.
var mistakes = map[string]struct {
	kind fault.Kind
	part string
}{
	"nodes: {n3: {}}":                                       {fault.Invalid, "node n3 (line 1): group: a node needs a group"},
	"nodes: {n3: {group: gpu}}":                             {fault.NotFound, `node n3 (line 1): group: there is no group "gpu"`},
	"nodes: {N3: {group: compute}}":                         {fault.Invalid, `node N3 (line 1): name "N3" must be`},
	"nodes: {n3: {group: compute, mac: zz}}":                {fault.Invalid, "node n3 (line 1): mac: MAC"},
	"nodes: {n3: {group: compute, mac: 52-54-00-00-00-01}}": {fault.Conflict, "MAC 52:54:00:00:00:01 belongs to node n1"},
	"nodes: {n3: {group: compute, mac: '525400000009'}, n4: {group: compute, mac: '525400000009'}}":                       {fault.Conflict, "node n4 (line 1): MAC 52:54:00:00:00:09 belongs to node n3"},
	"nodes: {n3: {group: compute, switch: sw1, port: 1}}":                                                                 {fault.Conflict, "port 1 of that switch belongs to node n1"},
	"nodes: {n3: {group: compute, switch: sw9}}":                                                                          {fault.NotFound, `switch: there is no switch "sw9"`},
	"nodes: {n3: {group: compute, osimage: big}}":                                                                         {fault.NotFound, `osimage: there is no osimage "big"`},
	"nodes: {n3: {group: compute, kernopts: \"a\\nb\"}}":                                                                  {fault.Invalid, "kernopts must be one line"},
	"nodes: {n3: {group: compute, addresses: {BOOTIF: x}}}":                                                               {fault.Invalid, `addresses: BOOTIF "x" must be an IP address`},
	"nodes: {n3: {group: compute, addresses: {BOOTIF: 10.31.0.7}}}":                                                       {fault.Invalid, "addresses: BOOTIF: address 10.31.0.7 is in no network of interface BOOTIF"},
	"nodes: {n3: {group: compute, addresses: {eth7: 10.30.0.7}}}":                                                         {fault.NotFound, "addresses: eth7: group compute has no interface eth7"},
	"nodes: {n3: {group: compute, addresses: {BOOTIF: 10.30.0.1}}}":                                                       {fault.Conflict, "addresses: BOOTIF: address 10.30.0.1 is taken by node n1"},
	"nodes: {n3: {group: compute, addresses: {BOOTIF: 10.30.0.9}}}":                                                       {fault.Conflict, "taken by a reservation"},
	"nodes: {n3: {group: compute, addresses: {BOOTIF: 10.30.128.5}}}":                                                     {fault.Conflict, "lies in the DHCP range"},
	"nodes: {n3: {group: compute, addresses: {BOOTIF: 10.30.255.254}}}":                                                   {fault.Conflict, "taken by"},
	"nodes: {n3: {group: compute, addresses: {BMC: 10.31.253.1}}}":                                                        {fault.Conflict, "taken by switch sw1"},
	"nodes: {n3: {group: compute, addresses: {BOOTIF: [10.30.0.7, 10.30.0.8]}}}":                                          {fault.Invalid, "address 10.30.0.8 is in no network"},
	"nodes: {n3: {group: compute, addresses: {BOOTIF: 10.30.0.7}}, n4: {group: compute, addresses: {BOOTIF: 10.30.0.7}}}": {fault.Conflict, "node n4 (line 1): addresses: BOOTIF: address 10.30.0.7 is that of node n3 (line 1) too"},
	"groups: {gpu: {interfaces: [{name: BMC, networks: [storage]}]}}":                                                     {fault.Invalid, "management controllers are set up over IPv4"},
	"groups: {gpu: {interfaces: [{name: eth0, networks: [cluster, ipmi]}]}}":                                              {fault.Invalid, "one IPv4 and one IPv6"},
	"groups: {gpu: {interfaces: [{name: eth0}, {name: eth0}]}}":                                                           {fault.Conflict, "has an interface eth0 already"},
	"groups: {gpu: {interfaces: [{name: BOOTIF, vlan: {parent: eth0, tag: 4}}]}}":                                         {fault.Invalid, "BOOTIF stands for a card"},
	"groups: {gpu: {interfaces: [{name: b, bond: {members: [b]}}]}}":                                                      {fault.Invalid, "cannot be made of b"},
	"groups: {gpu: {interfaces: [{name: v, vlan: {parent: eth0}}]}}":                                                      {fault.Invalid, "vlan_tag must be"},
	"groups: {gpu: {interfaces: [{name: v, vlan: {parent: eth0, tag: 1}, bridge: {}}]}}":                                  {fault.Invalid, "not two of them"},
	"groups: {gpu: {interfaces: [{name: e, networks: [none]}]}}":                                                          {fault.NotFound, `networks: there is no network "none"`},
	"groups: {gpu: {osimage: none}}":                                                                                      {fault.NotFound, `group gpu (line 1): osimage: there is no osimage "none"`},
	"groups: {gpu: {domain: A_b}}":                                                                                        {fault.Invalid, "domain"},
	"networks: {x: {network: 10.30.7.0/24}}":                                                                              {fault.Conflict, "shares addresses with network cluster"},
	"networks: {x: {network: 10.40.0.0}}":                                                                                 {fault.Invalid, "network x (line 1): prefix must be"},
	"networks: {x: {network: 10.40.0.0/16, gateway: 10.41.0.1}}":                                                          {fault.Invalid, "gateway 10.41.0.1 is not in network"},
	"networks: {x: {network: 10.40.0.0/16, dhcp_range: {start: 10.40.0.9, end: 10.40.0.1}}}":                              {fault.Invalid, "comes before start_ip"},
	"networks: {x: {network: 10.40.0.0/16, reserved: [10.41.0.1]}}":                                                       {fault.Invalid, "10.41.0.1 is not in network"},
	"networks: {cluster: {network: 10.30.0.0/16, dhcp_range: {start: 10.30.0.1, end: 10.30.0.9}}}":                        {fault.Conflict, "10.30.0.1 (node n1)"},
	"networks: {cluster: {network: 10.30.0.0/16, reserved: [10.30.0.1]}}":                                                 {fault.Conflict, "taken by node n1"},
	"networks: {cluster: {network: 10.32.0.0/16}}":                                                                        {fault.Conflict, "addresses are not in 10.32.0.0/16"},
	"osimages: {x: {path: /opt/luna/os/compute, head: head}}":                                                             {fault.Conflict, "belongs to osimage compute"},
	"osimages: {x: {path: rel}}":                                                                                          {fault.Invalid, "must be an absolute directory"},
	"bmcsetups: {x: {password: 123456789012345678901}}":                                                                   {fault.Invalid, "password must be 1 to 20"},
	"bmcsetups: {x: {userid: 99}}":                                                                                        {fault.Invalid, "userid must be"},
	"switches: {x: {ip: 10.31.0.99}}":                                                                                     {fault.Invalid, "network: a switch needs"},
	"switches: {x: {network: ipmi}}":                                                                                      {fault.Invalid, "ip"},
	"switches: {x: {network: ipmi, ip: 10.31.0.99, version: 3}}":                                                          {fault.Invalid, "version 3 needs a user"},
	"switches: {x: {network: ipmi, ip: 10.31.0.99, version: 3, user: u, auth_protocol: SHA}}":                             {fault.Invalid, "go together"},
	"switches: {x: {network: ipmi, ip: 10.31.0.1}}":                                                                       {fault.Conflict, "taken by node n1"},
	"otherdevs: {x: {addresses: {none: 10.31.0.99}}}":                                                                     {fault.NotFound, `there is no network "none"`},
	"otherdevs: {x: {addresses: {ipmi: 10.30.0.99}}}":                                                                     {fault.Invalid, "is not in network ipmi"},
	"cluster: {frontend_address: 10.30.0.1}":                                                                              {fault.Conflict, "taken by node n1"},
	"cluster: {frontend_address: 'fd00::1'}":                                                                              {fault.Invalid, "must be an IPv4 address"},
	"cluster: {frontend_address: 10.30.255.254, nodedigits: 10}":                                                          {fault.Invalid, "cluster (line 1): nodedigits must be"},
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	h := newHouse(t)
	h.load(room, transfer.Options{})
	for text, want := range mistakes {
		before := h.export()
		_, err := h.try(text, transfer.Options{})
		if fault.KindOf(err) != want.kind || err == nil || !strings.Contains(err.Error(), want.part) {
			t.Errorf("%s: %v (%v), want %q (%v)", text, err, fault.KindOf(err), want.part, want.kind)
		}
		if h.export() != before {
			t.Fatalf("%s changed something", text)
		}
	}
}

func TestPruneTakesAwayTheRest(t *testing.T) {
	h := newHouse(t)
	h.load(room, transfer.Options{})
	part := room[:strings.Index(room, "  n2:")]
	if d := h.load(part, transfer.Options{}); !d.Empty() {
		t.Errorf("without prune %v", d.Touched())
	}
	if d := h.load(part, transfer.Options{Prune: true}); !slices.Equal(d.Notes(), []string{"deleted 1 node"}) {
		t.Errorf("%q", d.Notes())
	}
	if got := h.addresses("n2"); got != nil {
		t.Errorf("n2 has %q", got)
	}
	_, err := h.try("nodes: {n1: {group: compute}}\ncluster: {frontend_address: 10.30.255.254}", transfer.Options{Prune: true})
	if fault.KindOf(err) != fault.NotFound || !strings.Contains(err.Error(), `the text has no group "compute"`) {
		t.Error(err)
	}
	_, err = h.try("networks: {ipmi: {network: 10.31.0.0/16}}", transfer.Options{Prune: true})
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "cluster: the text does not say it") {
		t.Error(err)
	}
	h.load("luna: 1", transfer.Options{Prune: true})
	if got := h.export(); got != "luna: 1\n" {
		t.Errorf("left is %s", got)
	}
	if err := h.Each(catalog.Rest, "", func(o *inventoryv1.Object) bool { t.Errorf("%v rests in no network", o); return true }); err != nil {
		t.Error(err)
	}
}

// TestAddressesGoBackToWhoHadThem is about addresses that were given up and rest.
func TestAddressesGoBackToWhoHadThem(t *testing.T) {
	h := newHouse(t)
	h.load(room, transfer.Options{})
	was := h.export()
	nodes := strings.Index(room, "nodes:")
	h.load(room[:nodes], transfer.Options{Prune: true})
	_, err := h.try("nodes: {n9: {group: compute, addresses: {BOOTIF: 10.30.0.1}}}", transfer.Options{})
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "given up") {
		t.Errorf("a stranger: %v", err)
	}
	d := h.load("nodes: {n9: {group: compute}}", transfer.Options{})
	if got := h.addresses("n9"); got[0] != "BOOTIF 10.30.0.3" {
		t.Errorf("%q, %v", got, d.Touched())
	}
	h.load(was, transfer.Options{Prune: true})
	if got := h.export(); got != was {
		t.Errorf("now it is\n%s\nand was\n%s", got, was)
	}
	renamed := strings.ReplaceAll(was, "  n2:", "  login:")
	h.load(renamed, transfer.Options{Prune: true})
	if got := h.export(); strings.Count(got, "10.30.0.2\n") != 1 || !strings.Contains(got, "login:") {
		t.Errorf("the machine with another name: %s", got)
	}
	swapped := strings.NewReplacer("10.30.0.1\n", "10.30.0.2\n", "10.30.0.2\n", "10.30.0.1\n").Replace(renamed)
	if _, err = h.try(swapped, transfer.Options{}); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "in this change: it rests for 26h") {
		t.Errorf("swapped: %v", err)
	}
	h.now = h.now.Add(27 * time.Hour)
	h.load("nodes: {n9: {group: compute, addresses: {BOOTIF: 10.30.0.3}}}", transfer.Options{})
}

func TestMACsAreSwappedInOneChange(t *testing.T) {
	h := newHouse(t)
	h.load(room, transfer.Options{})
	swap := strings.NewReplacer("52:54:00:00:00:01", "52:54:00:00:00:02", "52:54:00:00:00:02", "52:54:00:00:00:01", "port: 1", "port: 2")
	h.load(swap.Replace(room), transfer.Options{})
	n, err := h.NodeByMAC("52:54:00:00:00:01")
	if err != nil || n.GetName() != "n2" {
		t.Errorf("%v, %v", n, err)
	}
}

func TestWhatLunaFindsOutIsKept(t *testing.T) {
	h := newHouse(t)
	h.load(strings.Replace(room, "head: head", "head: head, kernver: 6.1", 1), transfer.Options{})
	d := h.load("nodes: {n1: {group: compute, switch: sw1, port: 1}}\nosimages: {compute: {path: /opt/luna/os/compute}}", transfer.Options{Head: "other"})
	if !d.Empty() {
		t.Errorf("changed %v", d.Touched())
	}
	h.load("nodes: {n1: {group: compute, mac: ''}}", transfer.Options{})
	n, err := h.NodeNamed("n1")
	if err != nil || n.Mac != "" || n.Port != "" {
		t.Errorf("%v, %v", n, err)
	}
	h.load("osimages: {new: {path: /opt/luna/os/new}}", transfer.Options{Head: "other"})
	if got := h.export(); !strings.Contains(got, "head: other") {
		t.Error(got)
	}
}

// TestOtherNodesFollowTheirGroup gives an interface to a group of which the text names no node.
func TestOtherNodesFollowTheirGroup(t *testing.T) {
	h := newHouse(t)
	h.load(room, transfer.Options{})
	h.load("groups: {compute: {osimage: compute, interfaces: [{name: BOOTIF, networks: [cluster]}, {name: eth1, networks: [storage]}]}}", transfer.Options{})
	if got, want := h.addresses("n2"), []string{"BOOTIF 10.30.0.2", "eth1 fd00:1::4"}; !slices.Equal(got, want) {
		t.Errorf("n2 has %q", got)
	}
	rests := 0
	if err := h.Each(catalog.Rest, "", func(*inventoryv1.Object) bool { rests++; return true }); err != nil || rests != 4 {
		t.Errorf("%d addresses rest, %v", rests, err)
	}
}

func TestNetworkIsNumberedAnew(t *testing.T) {
	h := newHouse(t)
	h.load(room, transfer.Options{})
	h.load(strings.ReplaceAll(strings.ReplaceAll(h.export(), "10.31.", "10.77."), "'***'", "x1234567"), transfer.Options{})
	if got, want := h.addresses("n1"), "BMC 10.77.0.1"; !slices.Contains(got, want) {
		t.Errorf("%q", got)
	}
}

func TestServersMayBeOfTheInventory(t *testing.T) {
	h := newHouse(t)
	h.load(`
networks: {cluster: {network: 10.30.0.0/16, gateway: 10.30.0.1, nameservers: [10.30.0.2], ntp: [10.30.0.3]}}
groups: {compute: {interfaces: [{name: BOOTIF, networks: [cluster]}]}}
switches: {router: {network: cluster, ip: 10.30.0.1}}
nodes: {dns: {group: compute, addresses: {BOOTIF: 10.30.0.2}}, n1: {group: compute}}
`, transfer.Options{})
	if got := h.addresses("n1"); !slices.Equal(got, []string{"BOOTIF 10.30.0.4"}) {
		t.Errorf("%q", got)
	}
	_, err := newHouse(t).try(`
networks: {cluster: {network: 10.30.0.0/16, gateway: 10.30.0.1}}
groups: {compute: {interfaces: [{name: BOOTIF, networks: [cluster]}]}}
nodes: {n1: {group: compute, addresses: {BOOTIF: 10.30.0.1}}}
`, transfer.Options{})
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "taken by the gateway") {
		t.Error(err)
	}
}

func TestSecrets(t *testing.T) {
	const v3 = `
networks: {ipmi: {network: 10.31.0.0/16}}
bmcsetups: {base: {password: PASS}}
switches: {sw1: {network: ipmi, ip: 10.31.0.1, read: READ, version: 3, user: luna, auth_protocol: SHA, auth_password: AUTH, priv_protocol: AES, priv_password: PRIV}}
`
	with := func(pass, read, auth, priv string) string {
		return strings.NewReplacer("PASS", pass, "READ", read, "AUTH", auth, "PRIV", priv).Replace(v3)
	}
	h := newHouse(t)
	typed := with("s3cret", "c0mmunity", "authentic", "privately")
	h.load(typed, transfer.Options{})
	if d := h.load(typed, transfer.Options{}); !d.Empty() {
		t.Errorf("typed again: %v", d.Touched())
	}
	if d := h.load(with("'***'", "'***'", "'***'", "'***'"), transfer.Options{}); !d.Empty() || len(d.Notes()) > 0 {
		t.Errorf("stars: %v %q", d.Touched(), d.Notes())
	}
	if d := h.load(with("other", "'***'", "'***'", "differently"), transfer.Options{}); len(d.Touched()) != 2 {
		t.Errorf("two others: %v", d.Touched())
	}
	blank := newHouse(t)
	d := blank.load(h.export(), transfer.Options{})
	notes := strings.Join(d.Notes(), "\n")
	for _, part := range []string{"bmcsetup base: the text does not tell its password, which is ladmin until you type it",
		"luna switch change sw1 --read READ --auth_protocol SHA --auth_password PASSWORD --priv_protocol AES --priv_password PASSWORD"} {
		if !strings.Contains(notes, part) {
			t.Errorf("%q does not say %q", notes, part)
		}
	}
	if d := blank.load(h.export(), transfer.Options{}); !d.Empty() || !strings.Contains(strings.Join(d.Notes(), "\n"), "switch sw1") {
		t.Errorf("again: %v %q", d.Touched(), d.Notes())
	}
	_, err := blank.try(with("s3cret", "x", "short", "privately"), transfer.Options{})
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "8 characters") {
		t.Error(err)
	}
}
