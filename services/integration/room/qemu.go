package room

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// Firmware is what a machine starts with.
type Firmware int

const (
	// BIOS is SeaBIOS with the card's iPXE ROM. It writes to the console as well as to the monitor.
	BIOS Firmware = iota
	// UEFI is OVMF, and a card without a ROM, so that EDK2's own PXE client boots it.
	UEFI
)

// String is the firmware's usual name.
func (f Firmware) String() string { return [...]string{"BIOS", "UEFI"}[f] }

// Bus is what disks hang on.
type Bus int

const (
	// VirtioBlock disks are /dev/vda and so on.
	VirtioBlock Bus = iota
	// NVMe disks are /dev/nvme0n1 and so on.
	NVMe
	// AHCI disks are /dev/sda and so on, at most six.
	AHCI
	// MegaRAID disks are /dev/sda and so on, of driver megasas.
	MegaRAID
	// VirtioSCSI disks are /dev/sda and so on, also for kernels of virtual machines only.
	VirtioSCSI
)

// controllers are the devices that disks of a bus need besides.
var controllers = map[Bus]string{MegaRAID: "megasas", VirtioSCSI: "virtio-scsi-pci"}

const (
	ovmfCode      = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	ovmfVariables = "/usr/share/OVMF/OVMF_VARS_4M.fd"
)

// virtioNet is the card that a machine has unless another is asked for.
const virtioNet = "virtio-net-pci"

// arguments are QEMU's command line. At every start the network comes first, then the
// disks; boot index 0 is left to a -kernel in Args.
func (m *Machine) arguments() []string {
	args := []string{
		"qemu-system-x86_64", "-name", m.Name,
		"-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "1", "-m", strconv.Itoa(m.Memory),
		"-nodefaults", "-display", "none", "-vga", "std", "-rtc", "base=utc",
		"-device", "virtio-rng-pci",
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
		"-chardev", "socket,id=qmp,fd=3", "-mon", "chardev=qmp,mode=control",
	}
	for i, tap := range m.taps {
		args = append(args, "-netdev", fmt.Sprintf("tap,id=net%d,ifname=%s,script=no,downscript=no", i, tap))
	}
	args = append(args, m.firmwareArguments()...)
	for i, mac := range m.MoreCards {
		args = append(args, "-device", fmt.Sprintf("%s,netdev=net%d,mac=%s,romfile=", m.Card, i+1, mac))
	}
	args = append(args, m.diskArguments()...)
	return append(args, m.Args...)
}

func (m *Machine) firmwareArguments() []string {
	card := m.Card + ",netdev=net0,bootindex=1,mac=" + m.MAC
	if m.Firmware == BIOS {
		// Without graphics SeaBIOS shows text on the serial port too.
		return []string{"-machine", "q35,graphics=off", "-device", card}
	}
	if m.Card == virtioNet {
		card += ",romfile=" // the firmware has a driver; for other cards it has the ROM's
	}
	return []string{
		"-machine", "q35",
		"-drive", "if=pflash,unit=0,format=raw,readonly=on,file=" + ovmfCode,
		"-drive", "if=pflash,unit=1,format=raw,file=" + m.file("vars"),
		"-device", card,
	}
}

func (m *Machine) diskArguments() []string {
	var args []string
	if controller := controllers[m.Bus]; controller != "" && len(m.Disks) > 0 {
		args = append(args, "-device", controller+",id=controller")
	}
	for i := range m.Disks {
		id := fmt.Sprintf("disk%d", i)
		device := fmt.Sprintf("%s,drive=%s,serial=luna-%s,bootindex=%d", m.diskDevice(i), id, id, i+2)
		args = append(args, "-drive", "if=none,format=qcow2,id="+id+",file="+m.file(id), "-device", device)
	}
	return args
}

func (m *Machine) diskDevice(i int) string {
	switch m.Bus {
	case NVMe:
		return "nvme"
	case AHCI:
		return fmt.Sprintf("ide-hd,bus=ide.%d", i)
	case MegaRAID, VirtioSCSI:
		return "scsi-hd,bus=controller.0"
	default:
		return "virtio-blk-pci"
	}
}

func (m *Machine) makeDisk(i, size int) error {
	path := m.file(fmt.Sprintf("disk%d", i))
	out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", path, fmt.Sprintf("%dM", size)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make disk %d: %w: %s", i, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// makeVariables gives a UEFI machine its own copy of the firmware's variables.
func (m *Machine) makeVariables() error {
	if _, err := os.Stat(ovmfCode); err != nil {
		return fmt.Errorf("%w: run deploy/room/install-packages.sh", err)
	}
	from, err := os.Open(ovmfVariables)
	if err != nil {
		return fmt.Errorf("%w: run deploy/room/install-packages.sh", err)
	}
	defer from.Close()
	to, err := os.Create(m.file("vars"))
	if err != nil {
		return fmt.Errorf("copy firmware variables: %w", err)
	}
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Close()); err != nil {
		return fmt.Errorf("copy firmware variables: %w", err)
	}
	return nil
}
