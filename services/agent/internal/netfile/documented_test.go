package netfile

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luna-hpc/luna/services/agent/internal/sysroot"
)

// documented are files as the manuals show them, and the network that they are
// for. Cards are known by their names alone.
var documented = []struct {
	manual, image, network string
	files                  map[string]string
}{
	{
		"SUSE ifcfg-bonding(5)", "wicked",
		`{"name":"bond0","addresses":["192.168.0.1/24"],"bond":{"members":["eth0","eth1"],"mode":"active-backup","miimon":100}}`,
		map[string]string{
			"ifcfg-bond0": `BOOTPROTO='static' IPADDR='192.168.0.1/24' BONDING_MASTER='yes' BONDING_SLAVE_0='eth0' BONDING_SLAVE_1='eth1'`,
			"ifcfg-eth0":  `STARTMODE='hotplug' BOOTPROTO='none'`,
			"ifcfg-eth1":  `STARTMODE='hotplug' BOOTPROTO='none'`,
		},
	},
	{
		"SUSE ifcfg-vlan(5)", "wicked",
		`{"name":"lan1","addresses":["192.168.3.27/24"],"vlan":{"parent":"eth0","tag":42}}`,
		map[string]string{"ifcfg-lan1": `STARTMODE='auto' ETHERDEVICE='eth0' VLAN_ID='42' IPADDR='192.168.3.27/24'`, "ifcfg-eth0": `STARTMODE='auto'`},
	},
	{
		"SUSE ifcfg-bridge(5)", "wicked",
		`{"name":"br0","bridge":{"ports":["eth0","eth1"],"stp":false}}`,
		map[string]string{"ifcfg-br0": `STARTMODE='auto' BRIDGE='yes' BRIDGE_STP='off' BRIDGE_FORWARDDELAY='0'`, "ifcfg-eth1": `STARTMODE='auto'`},
	},
	{
		"RHEL 7, Networking Guide, bonding: ifcfg(5), ifcfg-bonding(5)", "ifcfg-scripts",
		`{"name":"bond0","addresses":["192.168.1.1/24"],"bond":{"members":["eth0","eth1"],"mode":"active-backup","miimon":100}}`,
		map[string]string{
			"ifcfg-bond0": `DEVICE=bond0 TYPE=Bond BONDING_MASTER=yes IPADDR=192.168.1.1 PREFIX=24 ONBOOT=yes BOOTPROTO=none`,
			"ifcfg-eth0":  `DEVICE=eth0 TYPE=Ethernet BOOTPROTO=none ONBOOT=yes MASTER=bond0 SLAVE=yes`,
		},
	},
	{
		"RHEL 7, Networking Guide, 802.1Q: ifcfg-vlan(5)", "ifcfg-scripts",
		`{"name":"eth1.192","addresses":["192.168.1.1/24"],"vlan":{"parent":"eth1","tag":192}}`,
		map[string]string{
			"ifcfg-eth1.192": `DEVICE=eth1.192 BOOTPROTO=none ONBOOT=yes IPADDR=192.168.1.1 PREFIX=24 VLAN=yes`,
			"ifcfg-eth1":     `DEVICE=eth1 TYPE=Ethernet BOOTPROTO=none ONBOOT=yes`,
		},
	},
	{
		"RHEL 7, Networking Guide, bridging: ifcfg-bridge(5)", "ifcfg-nm",
		`{"name":"br0","addresses":["192.168.1.1/24"],"bridge":{"ports":["eth1"],"stp":false}}`,
		map[string]string{"ifcfg-br0": `DEVICE=br0 TYPE=Bridge IPADDR=192.168.1.1 PREFIX=24 BOOTPROTO=none ONBOOT=yes DELAY=0`, "ifcfg-eth1": `DEVICE=eth1 TYPE=Ethernet BOOTPROTO=none ONBOOT=yes BRIDGE=br0`},
	},
	{
		"nm-settings-ifcfg-rh(5)", "ifcfg-nm",
		`{"name":"ib0","options":"CONNECTED_MODE=yes","mtu":65520,"addresses":["2001:db8::7/64","2001:db8::8/64","192.0.2.7/24","192.0.2.8/25"],"gateway6":"2001:db8::1"}`,
		map[string]string{"ifcfg-ib0": `TYPE=InfiniBand CONNECTED_MODE=yes MTU=65520 IPV6INIT=yes IPV6ADDR="2001:db8::7/64" IPV6ADDR_SECONDARIES="2001:db8::8/64" IPV6_DEFAULTGW="2001:db8::1" IPADDR=192.0.2.7 PREFIX=24 IPADDR1=192.0.2.8 PREFIX1=25`},
	},
}

// TestDocumentedExamples compares with what manuals show: each of their keys
// must have that value.
func TestDocumentedExamples(t *testing.T) {
	for _, d := range documented {
		tree, _ := image(t, images(t)[d.image])
		n, err := Parse(strings.NewReader(`{"interfaces":[` + d.network + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Write(tree, machine{}); err != nil {
			t.Fatal(err)
		}
		for name, text := range d.files {
			for key, value := range shellWords([]byte(splitWords(text))) {
				if got, ok := writtenWords(t, tree, d.image, name)[key]; !ok || got != value {
					t.Errorf("%s: %s has %s=%q (%t), want %q", d.manual, name, key, got, ok, value)
				}
			}
		}
	}
}

// splitWords gives each assignment of a line, whose values have no spaces, a line of its own.
func splitWords(text string) string { return strings.Join(strings.Fields(text), "\n") }

func writtenWords(t *testing.T, tree *sysroot.Tree, image, name string) map[string]string {
	t.Helper()
	dir := ifcfgDir
	if image == "wicked" {
		dir = wickedDir
	}
	data, err := tree.Read(filepath.Join(dir, name))
	if err != nil || len(data) == 0 {
		t.Fatal(fmt.Errorf("%s: %w", name, err))
	}
	return shellWords(data)
}
