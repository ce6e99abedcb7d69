package ipxe_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/luna-hpc/luna/services/bootscript/internal/ipxe"
)

const luna = "http://10.30.255.254:7050/luna"

const wantMenu = `#!ipxe
# Luna: what to boot
set luna http://10.30.255.254:7050/luna
set hwdata ${asset:uristring}
isset ${netX/mac} && set hwdata ${hwdata}|${netX/mac} ||
isset ${net0/mac} && set hwdata ${hwdata}|${net0/mac} ||
isset ${net1/mac} && set hwdata ${hwdata}|${net1/mac} ||
isset ${net2/mac} && set hwdata ${hwdata}|${net2/mac} ||
isset ${net3/mac} && set hwdata ${hwdata}|${net3/mac} ||
isset ${net4/mac} && set hwdata ${hwdata}|${net4/mac} ||
isset ${net5/mac} && set hwdata ${hwdata}|${net5/mac} ||
isset ${net6/mac} && set hwdata ${hwdata}|${net6/mac} ||
isset ${net7/mac} && set hwdata ${hwdata}|${net7/mac} ||
:menu
menu Luna at 10.30.255.254
item luna Boot what Luna says
item list Choose a node from the list
item name Type the name of a node
item shell iPXE shell
item config iPXE configuration
item reboot Reboot
item next Boot from the next device
choose --default luna --timeout 10000 target || goto luna
goto ${target}
:luna
chain --replace --autofree ${luna}?step=discovery&hwdata=${hwdata} ||
echo Luna has nothing for this machine or does not answer. Again in 10 seconds; Ctrl-C: menu
sleep 10 || goto menu
dhcp netX ||
goto luna
:list
chain --replace --autofree ${luna}?step=choose&page=1 || goto refused
:name
echo -n Name of the node: && read node || goto menu
isset ${node} || goto menu
dhcp netX ||
chain --replace --autofree ${luna}?step=discovery&hwdata=${hwdata}&node=${node:uristring} || goto refused
:refused
echo Luna refused: no such node, or it has another MAC address.
sleep 10 ||
goto menu
:shell
shell ||
goto menu
:config
config ||
goto menu
:reboot
reboot
:next
iseq ${platform} efi && exit 1 ||
sanboot --no-describe --drive 0x80 || exit 1
`

func TestMenu(t *testing.T) {
	same(t, wantMenu)(ipxe.Menu{URL: luna, Head: "10.30.255.254", Wait: 10}.Script())
}

func TestMenuIsSkipped(t *testing.T) {
	want := strings.ReplaceAll(strings.Replace(wantMenu, ":menu\n", "goto luna\n:menu\n", 1), "--timeout 10000", "--timeout 0")
	same(t, want)(ipxe.Menu{URL: luna, Head: "10.30.255.254"}.Script())
}

const wantChoice = `#!ipxe
# Luna: page 2 of 3 of the nodes
menu Which node is this machine? (page 2 of 3)
item node025 node025
item node026 node026 has 52:54:00:00:00:1a
item .next Next page
item .back Page before
item .menu Back to the menu
choose node || goto .menu
iseq ${node} .next && goto .next ||
iseq ${node} .back && goto .back ||
iseq ${node} .menu && goto .menu ||
dhcp netX ||
chain --replace --autofree http://10.30.255.254:7050/luna?step=discovery&hwdata=${hwdata}&node=${node:uristring} ||
echo Luna refused: the node has another MAC address, or Luna does not answer.
sleep 10 ||
:.menu
chain --replace --autofree http://10.30.255.254:7050/luna?step=boot || exit 1
:.next
chain --replace --autofree http://10.30.255.254:7050/luna?step=choose&page=3 || goto .menu
:.back
chain --replace --autofree http://10.30.255.254:7050/luna?step=choose&page=1 || goto .menu
`

func TestChoice(t *testing.T) {
	c := ipxe.Choice{URL: luna, Page: 2, Pages: 3, Nodes: []ipxe.Node{{Name: "node025"}, {Name: "node026", MAC: "52:54:00:00:00:1a"}}}
	same(t, wantChoice)(c.Script())
}

func TestFullPageIsSmall(t *testing.T) {
	c := ipxe.Choice{URL: luna, Page: 50, Pages: 100}
	for i := range ipxe.PerPage {
		c.Nodes = append(c.Nodes, ipxe.Node{Name: fmt.Sprintf("%s%03d", strings.Repeat("n", 37), i), MAC: "52:54:00:00:00:1a"})
	}
	if s, err := c.Script(); err != nil || len(s) >= 4096 {
		t.Fatalf("%d bytes, %v", len(s), err)
	}
}

var boot = ipxe.Boot{
	Node: "node001", Osimage: "compute",
	Kernel: "http://10.30.255.254:7050/boot/compute-vmlinuz-6.1?digest=aa", Initrd: "http://10.30.255.254:7050/boot/compute-initrd-6.1?digest=bb",
	Again: []string{luna + "?step=discovery&hwdata=%7C52%3A54%3A00%3A00%3A00%3A01"},
	Line:  "root=luna luna.node=node001 console=ttyS0",
}

func TestBoot(t *testing.T) {
	same(t, `#!ipxe
# Luna: node001 boots compute
echo Luna: node001 boots compute
imgfree
initrd --name initrd.img http://10.30.255.254:7050/boot/compute-initrd-6.1?digest=bb || goto failed
kernel http://10.30.255.254:7050/boot/compute-vmlinuz-6.1?digest=aa initrd=initrd.img root=luna luna.node=node001 console=ttyS0 || goto failed
boot || goto failed
:failed
echo node001: kernel or initrd did not load. Again in 10 seconds
imgfree
sleep 10 ||
chain --replace --autofree http://10.30.255.254:7050/luna?step=discovery&hwdata=%7C52%3A54%3A00%3A00%3A00%3A01 || goto failed
`)(boot.Script())
	same(t, `DEFAULT luna
PROMPT 0
LABEL luna
  KERNEL http://10.30.255.254:7050/boot/compute-vmlinuz-6.1?digest=aa
  INITRD http://10.30.255.254:7050/boot/compute-initrd-6.1?digest=bb
  APPEND root=luna luna.node=node001 console=ttyS0
`)(boot.Syslinux())
}

func TestLocalBoot(t *testing.T) {
	l := ipxe.Local{Node: "node001"}
	same(t, `#!ipxe
# Luna: node001 boots from its own disk
echo Luna: node001 boots from its own disk
iseq ${platform} efi && exit 1 ||
sanboot --no-describe --drive 0x80 || exit 1
`)(l.Script())
	same(t, "DEFAULT local\nPROMPT 0\nLABEL local\n  LOCALBOOT 0\n")(l.Syslinux())
}

func TestTroubleShowsAHarmlessSentence(t *testing.T) {
	tr := ipxe.Trouble{Node: "node001", Reason: "osimage x:\nshell && ${net0/mac} || é reboot", Again: []string{luna + "?step=discovery"}}
	same(t, `#!ipxe
# Luna: node001 cannot boot
:again
echo Luna: node001 cannot boot: osimage x: shell {net0/mac} reboot
echo Again in 10 seconds
sleep 10 ||
chain --replace --autofree http://10.30.255.254:7050/luna?step=discovery || goto again
`)(tr.Script())
}

// TestOtherHeadsAreAsked looks at the scripts of a cluster of three heads.
func TestOtherHeadsAreAsked(t *testing.T) {
	others := []string{"http://10.30.255.252:7050/luna", "http://10.30.255.253:7050/luna"}
	const ask = "chain --replace --autofree ${luna}?step=discovery&hwdata=${hwdata} ||\n"
	want := strings.Replace(wantMenu, ask, ask+strings.ReplaceAll(ask, "${luna}", others[0])+strings.ReplaceAll(ask, "${luna}", others[1]), 1)
	same(t, want)(ipxe.Menu{URL: luna, Others: others, Head: "10.30.255.254", Wait: 10}.Script())
	b := boot
	b.Again = []string{luna + "?a", others[0] + "?a", others[1] + "?a"}
	text, err := b.Script()
	if end := "sleep 10 ||\nchain --replace --autofree " + luna + "?a ||\nchain --replace --autofree " + others[0] +
		"?a ||\nchain --replace --autofree " + others[1] + "?a || goto failed\n"; err != nil || !strings.HasSuffix(text, end) {
		t.Errorf("%v\n%s\nshould end\n%s", err, text, end)
	}
	text, err = ipxe.Trouble{Node: "node001", Reason: "none", Again: b.Again}.Script()
	if end := others[0] + "?a ||\nchain --replace --autofree " + others[1] + "?a || goto again\n"; err != nil || !strings.HasSuffix(text, end) {
		t.Errorf("%v\n%s\nshould end\n%s", err, text, end)
	}
}

func TestUnsafeWordsAreRefused(t *testing.T) {
	for _, bad := range []string{"a\nshell", "${net0/mac}", "a b", "#", "", "é", `a"b`, "a\tb", "a\x00"} {
		b := boot
		b.Node = bad
		if s, err := b.Script(); err == nil {
			t.Errorf("node name %q is in %s", bad, s)
		}
		if s, err := (ipxe.Choice{URL: luna, Nodes: []ipxe.Node{{Name: bad}}}).Script(); err == nil {
			t.Errorf("node name %q is in %s", bad, s)
		}
	}
	for _, bad := range []string{"a\nshell", "a=${net0/mac}", "a || shell", "a && shell", "#a", "quiet #a", "a\rb", strings.Repeat("x", 2048)} {
		b := boot
		b.Line = bad
		if s, err := b.Script(); err == nil {
			t.Errorf("line %q is in %s", bad, s)
		}
		if s, err := b.Syslinux(); err == nil {
			t.Errorf("line %q is in %s", bad, s)
		}
	}
	if err := ipxe.CheckLine(`dyndbg="file a.c +p" console=tty0 a|b c&&d`); err != nil {
		t.Error(err)
	}
}

func same(t *testing.T, want string) func(string, error) {
	return func(got string, err error) {
		t.Helper()
		if err != nil || got != want {
			t.Errorf("error %v\ngot:\n%s\nwant:\n%s", err, got, want)
		}
		if len(got) >= 4096 {
			t.Errorf("%d bytes", len(got))
		}
	}
}
