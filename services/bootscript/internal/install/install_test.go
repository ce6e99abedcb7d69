package install_test

import (
	"flag"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/testenv"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/bootscript/internal/install"
	"github.com/luna-hpc/luna/services/bootscript/internal/plan"
)

var update = flag.Bool("update", false, "write the golden files anew")

const postscript = "cat <<LUNA_EOF_postscript >/sysroot/etc/fstab\ntmpfs / tmpfs defaults 0 0\nLUNA_EOF_postscript\necho \"$HOME\" 'quoted' \\\n  `date`"

func example() plan.Plan {
	boot := &inventoryv1.Network{Id: "N1", Name: "cluster", Cidr: "10.30.0.0/16", Gateway: "10.30.255.253", Mtu: 9000, NsHostname: "head", NsIp: "10.30.255.254"}
	return plan.Plan{
		Head: "head1.site",
		Networks: map[string]*inventoryv1.Network{"N1": boot,
			"N2": {Id: "N2", Cidr: "10.40.0.0/16", Gateway: "10.40.0.254"}, "N6": {Id: "N6", Cidr: "fd00::/64", Gateway: "fd00::ff", Nameservers: []string{"fd00::fe"}}, "N3": {Id: "N3", Cidr: "10.60.0.0/16"}, "N9": {Id: "N9", Cidr: "10.50.0.0/16"}},
		Release: &imagepackerv1.Release{Manifest: "sha256:" + strings.Repeat("1", 64), Torrent: "sha256:" + strings.Repeat("2", 64)},
		Joined: catalog.Joined{
			Cluster: &inventoryv1.Cluster{Id: "C1", FrontendAddress: "10.30.255.254"},
			Node: &inventoryv1.Node{Id: "I1", Name: "node001", Mac: "52:54:00:00:00:01", Setupbmc: true, Addresses: []*inventoryv1.NodeAddress{
				{Interface: "BOOTIF", NetworkId: "N1", Address: "10.30.0.1"}, {Interface: "BOOTIF", NetworkId: "N6", Address: "fd00::1"},
				{Interface: "eth1", NetworkId: "N2", Address: "10.40.0.1"}, {Interface: "BMC", NetworkId: "N9", Address: "10.50.0.1"},
				{Interface: "storage", NetworkId: "N3", Address: "10.60.0.1"},
			}},
			Group: &inventoryv1.Group{Name: "compute", Partscript: "mount -t tmpfs -o size=90%,mode=0755 tmpfs /sysroot\n", Postscript: postscript,
				Interfaces: []*inventoryv1.Interface{{Name: "BOOTIF"}, {Name: "eth1", Options: "bond=yes"}, {Name: "BMC"},
					{Name: "bond0", MadeOf: &inventoryv1.Interface_Bond{Bond: &inventoryv1.Bond{Members: []string{"BOOTIF", "eth2"}, Mode: "802.3ad", Miimon: 100}}},
					{Name: "storage", Mtu: 8000, MadeOf: &inventoryv1.Interface_Vlan{Vlan: &inventoryv1.Vlan{Parent: "bond0", Tag: 60}}},
					{Name: "br0", MadeOf: &inventoryv1.Interface_Bridge{Bridge: &inventoryv1.Bridge{Ports: []string{"eth3"}, Stp: true}}}}},
			Osimage: &inventoryv1.Osimage{Name: "compute"}, Network: boot,
			Bmcsetup: &inventoryv1.Bmcsetup{Name: "base", User: "ladmin", PasswordId: "P1", Userid: 3, Netchannel: 1, Mgmtchannel: 1},
			Address:  netip.MustParsePrefix("10.30.0.1/16"), Domain: "cluster",
		},
	}
}

// golden are the plans whose whole scripts stand in testdata.
func golden() map[string]plan.Plan {
	overlay, disk := example(), example()
	overlay.Group.Root = inventoryv1.RootOverlay
	overlay.Release.Overlay = &imagepackerv1.Overlay{Manifest: "sha256:" + strings.Repeat("3", 64), Torrent: "sha256:" + strings.Repeat("4", 64)}
	disk.Group.Root, disk.Release.Overlay = inventoryv1.RootDisk, overlay.Release.Overlay
	return map[string]plan.Plan{"node001.bash": example(), "overlay.bash": overlay, "disk.bash": disk}
}

func TestScript(t *testing.T) {
	for name, p := range golden() {
		got, err := install.Of(p).Render()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: got:\n%s\nwant:\n%s", name, got, want)
		}
	}
}

func TestBashAndShellcheckTakeTheScript(t *testing.T) {
	for name := range golden() {
		path := filepath.Join("testdata", name)
		for _, cmd := range [][]string{{"bash", "-n", path}, {"shellcheck", path}} {
			testenv.Program(t, cmd[0])
			if out, err := exec.Command(cmd[0], cmd[1:]...).CombinedOutput(); err != nil {
				t.Errorf("%v: %v\n%s", cmd, err, out)
			}
		}
	}
}

// TestAgentGetsTheTextsAsTyped runs the script with a function in the agent's place.
func TestAgentGetsTheTextsAsTyped(t *testing.T) {
	p := example()
	p.Osimage.Name = "it's"
	text, err := install.Of(p).Render()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	agent := "#!/bin/bash\necho \"[$LUNA_OSIMAGE] $*\"\n[ \"$1\" = step ] && cat\nexit 0\n"
	if err := os.WriteFile(filepath.Join(bin, "luna-agent"), []byte(agent), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash")
	cmd.Stdin, cmd.Env = strings.NewReader(text), append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := "[it's] step postscript\n" + postscript + "\n[it's] finish\n"
	if !strings.HasSuffix(string(out), want) {
		t.Fatalf("got:\n%s\nwant at its end:\n%s", out, want)
	}
}

func TestMachineIDIsOfClusterAndNode(t *testing.T) {
	a, b := example(), example()
	b.Node.Id = "I2"
	x, y := install.IdentityOf(a).MachineID, install.IdentityOf(b).MachineID
	if x == y || x != install.IdentityOf(example()).MachineID || !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(x) {
		t.Fatal(x, y)
	}
}

func TestHeadWithoutANameInTheNetwork(t *testing.T) {
	p := example()
	p.Network.NsHostname = ""
	hosts := install.IdentityOf(p).Hosts
	if got := hosts[len(hosts)-1].Names[0]; got != "head1.site.cluster" {
		t.Fatal(got)
	}
}

func TestGatewayOfAnotherInterface(t *testing.T) {
	p := example()
	p.Network.Gateway = ""
	n := install.NetworkOf(p)
	if n.Interfaces[0].Gateway != "" || n.Interfaces[1].Gateway != "10.40.0.254" {
		t.Fatalf("%+v", n.Interfaces)
	}
}

func TestControllerIsSetUpWhenAskedFor(t *testing.T) {
	p := example()
	p.Node.Setupbmc = false
	if b := install.BMCOf(p); b != nil {
		t.Errorf("%+v", b)
	}
	p = example()
	p.Node.Addresses = p.Node.Addresses[:1]
	if b := install.BMCOf(p); b.Address != "" || !strings.Contains(b.Missing, "luna group change compute --bmcnetwork --setnet") {
		t.Errorf("%+v", b)
	}
}

func TestEachFamilyHasOneGateway(t *testing.T) {
	p := example()
	p.Networks["N6"].Gateway, p.Networks["N2"].Cidr, p.Networks["N2"].Gateway = "", "fd01::/64", "fd01::ff"
	p.Node.Addresses[2].Address = "fd01::1"
	p.Networks["N3"].Gateway = "10.60.0.254"
	n := install.NetworkOf(p)
	var got []string
	for _, i := range n.Interfaces {
		got = append(got, i.Gateway+"|"+i.Gateway6)
	}
	if want := "10.30.255.253| |fd01::ff | | |"; strings.Join(got, " ") != want {
		t.Fatalf("got %q, want %q", strings.Join(got, " "), want)
	}
}
