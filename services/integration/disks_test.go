package integration_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/services/integration/lab"
	"github.com/luna-hpc/luna/services/integration/room"
)

// Partscript and postscript for a disk with a GPT that EFI firmware boots. The
// entries of the firmware stay as they are: the loader has the name that
// firmware looks for.
const (
	efiPartscript = `parted -s /dev/sda mklabel gpt mkpart esp fat32 1MiB 129MiB set 1 esp on mkpart root ext4 129MiB 100%
udevadm settle
mkfs.vfat /dev/sda1
mkfs.ext4 -F -q /dev/sda2
mount /dev/sda2 /sysroot
mkdir -p /sysroot/boot/efi
mount /dev/sda1 /sysroot/boot/efi
`
	efiPostscript = `for d in proc dev sys; do mount -o bind /$d /sysroot/$d; done
echo "UUID=$(blkid -s UUID -o value /dev/sda2) / ext4 defaults 0 1" > /sysroot/etc/fstab
chroot /sysroot /bin/bash -c "grub-mkconfig -o /boot/grub/grub.cfg && grub-install --target=x86_64-efi --efi-directory=/boot/efi --removable --no-nvram"
status=$?
for d in sys dev proc; do umount /sysroot/$d; done
exit $status
`
)

// handbookScripts are those that the original's users know, word for word: a
// disk that a BIOS boots.
func handbookScripts(t *testing.T) (partscript, postscript string) {
	t.Helper()
	var texts [2]string
	for i, name := range []string{"partscript.sh", "postscript.sh"} {
		data, err := os.ReadFile("testdata/" + name)
		must(t, err)
		texts[i] = string(data)
	}
	return texts[0], texts[1]
}

// TestInstalledOnDisks installs on disks, over the old installation too, boots from them
// and returns to memory, each by one command, on both firmwares.
func TestInstalledOnDisks(t *testing.T) {
	for firmware, do := range map[room.Firmware]func(*testing.T) (string, string){
		room.BIOS: handbookScripts,
		room.UEFI: func(*testing.T) (string, string) { return efiPartscript, efiPostscript },
	} {
		t.Run(firmware.String(), func(t *testing.T) {
			partscript, postscript := do(t)
			disk(t, firmware, partscript, postscript)
		})
	}
}

func disk(t *testing.T, firmware room.Firmware, partscript, postscript string) {
	ctx := limit(t, 60*time.Minute)
	l := open(t, ctx, "LUNA_ROOM_LOADER=grub")
	must(t, l.StartHead(ctx))
	must(t, l.Describe(ctx))
	diskless := scriptsOf(t, ctx, l)
	setScripts(t, ctx, l, partscript, postscript)
	m, err := l.AddNodeLike(ctx, room.Machine{Firmware: firmware, Bus: room.VirtioSCSI})
	must(t, err)
	c := &checker{t: t, ctx: ctx, l: l}
	const address = "10.30.0.1"
	must(t, m.Start(ctx))
	c.up("installed on a blank disk", address)
	c.want(address, "findmnt -n -o SOURCE,FSTYPE /", "/dev/sda2 ext4")
	c.ssh(address, "echo mine > /root/kept")

	c.do("node", "change", "node001", "--localboot", "y")
	c.reboot(m, address)
	c.up("booted from the disk", address)
	c.want(address, "cat /root/kept", "mine")
	if line := c.ssh(address, "cat /proc/cmdline"); strings.Contains(line, "luna.") {
		t.Errorf("it did not boot from its disk: %s", line)
	}
	c.want(address, "hostname", "node001")
	c.want(address, "getent hosts node001", address)

	c.do("node", "change", "node001", "--localboot", "n")
	c.reboot(m, address)
	c.up("installed over the old system", address)
	c.want(address, "findmnt -n -o SOURCE,FSTYPE /", "/dev/sda2 ext4")
	c.want(address, "ls /root/kept 2>&1 || true", "No such file")

	setScripts(t, ctx, l, diskless[0], diskless[1])
	c.reboot(m, address)
	c.up("back in memory", address)
	c.want(address, "findmnt -n -o FSTYPE /", "tmpfs")
}

func scriptsOf(t *testing.T, ctx context.Context, l *lab.Lab) (scripts [2]string) {
	t.Helper()
	for i, field := range []string{"partscript", "postscript"} {
		out, err := l.Luna(ctx, "group", "show", "compute", "--output", "json")
		must(t, err)
		found := regexp.MustCompile(`"` + field + `": "(.*)\\n"`).FindStringSubmatch(out)
		if found == nil {
			t.Fatalf("no %s in %s", field, out)
		}
		scripts[i] = strings.ReplaceAll(found[1], `\"`, `"`) + "\n"
	}
	return scripts
}

func setScripts(t *testing.T, ctx context.Context, l *lab.Lab, partscript, postscript string) {
	t.Helper()
	for flag, text := range map[string]string{"--partscript": partscript, "--post": postscript} {
		_, err := l.LunaWithInput(ctx, text, "group", "change", "-n", "compute", flag, "-e")
		must(t, err)
	}
}

// do types a command of luna.
func (c *checker) do(args ...string) {
	c.t.Helper()
	_, err := c.l.Luna(c.ctx, args...)
	must(c.t, err)
}

// up waits for ssh; when it does not come it tells the boot's story. Node n has the address 10.30.0.n.
func (c *checker) up(what, address string) {
	c.t.Helper()
	c.waited(what, address, c.l.WaitUp)
}

func (c *checker) waited(what, address string, wait func(context.Context, string) error) {
	c.t.Helper()
	begin := time.Now()
	if err := wait(c.ctx, address); err != nil {
		node := fmt.Sprintf("node%03s", address[strings.LastIndexByte(address, '.')+1:])
		c.t.Fatalf("not %s: %v\n%s", what, err, story(c.ctx, c.l, node))
	}
	c.t.Logf("%s after %.0f s", what, time.Since(begin).Seconds())
}

// reboot has the system written to its disk and presses the button.
func (c *checker) reboot(m *room.Machine, address string) {
	c.t.Helper()
	c.ssh(address, "sync")
	must(c.t, m.Reset(c.ctx))
	must(c.t, c.waitDown(address))
}
