package room

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
)

// Machine is a computer in the room: the exported fields are set before [Room.AddMachine], the methods are good after it.
type Machine struct {
	// Name names the machine's files in the room's folder.
	Name string
	// MAC is the address of its card, with colons.
	MAC string
	// Firmware is BIOS or UEFI.
	Firmware Firmware
	// Memory is in MiB; zero is 2048.
	Memory int
	// Disks are the sizes of blank disks in MiB, of one file each, kept until the room closes.
	Disks []int
	// Bus is what the disks hang on; zero is VirtioBlock.
	Bus Bus
	// Card is QEMU's name of the network card; empty is virtio-net-pci.
	Card string
	// MoreCards are the addresses of further cards, plugged into the switch too.
	MoreCards []string
	// Args are further arguments of QEMU, such as -kernel or -smbios.
	Args []string

	*machine
}

// machine is what a Machine is made of once it is in a room.
type machine struct {
	room *Room
	// taps are those of the boot card and of the further ones.
	taps    []string
	console *console

	mu   sync.Mutex
	live *life
}

// AddMachine puts a machine into the room, plugged into the switch and switched off.
func (r *Room) AddMachine(spec Machine) (*Machine, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, fmt.Errorf("add machine %s: room %s is closed", spec.Name, r.name)
	}
	if err := spec.check(r.machines); err != nil {
		return nil, fmt.Errorf("add machine %q: %w", spec.Name, err)
	}
	m := &spec
	m.machine = &machine{room: r, taps: []string{fmt.Sprintf("tap%d", len(r.machines))}}
	for i := range m.MoreCards {
		m.taps = append(m.taps, fmt.Sprintf("tap%d.%d", len(r.machines), i+1))
	}
	var err error
	if m.console, err = newConsole(m.file("console")); err != nil {
		return nil, fmt.Errorf("add machine %s: %w", m.Name, err)
	}
	if err := m.furnish(); err != nil {
		return nil, errors.Join(fmt.Errorf("add machine %s: %w", m.Name, err), m.console.file.Close())
	}
	r.machines = append(r.machines, m)
	return m, nil
}

// check refuses what QEMU would take for something else, and fills in what was left out.
func (m *Machine) check(others []*Machine) error {
	if m.Name == "" || strings.ContainsAny(m.Name, "/, \x00") {
		return errors.New("a name without slash, comma or space is needed")
	}
	if _, err := net.ParseMAC(m.MAC); err != nil {
		return err
	}
	for _, o := range others {
		if o.Name == m.Name || strings.EqualFold(o.MAC, m.MAC) {
			return fmt.Errorf("machine %s has the same name or MAC", o.Name)
		}
	}
	if m.Memory == 0 {
		m.Memory = 2048
	}
	if m.Card == "" {
		m.Card = virtioNet
	}
	return nil
}

func (m *Machine) furnish() error {
	for i, size := range m.Disks {
		if err := m.makeDisk(i, size); err != nil {
			return err
		}
	}
	if m.Firmware == UEFI {
		if err := m.makeVariables(); err != nil {
			return err
		}
	}
	for _, tap := range m.taps {
		if err := m.room.makeTap(tap); err != nil {
			return err
		}
	}
	return nil
}

// Start switches the machine on. It returns when QEMU runs; ctx bounds only that.
func (m *Machine) Start(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.live != nil && !m.live.over() {
		return fmt.Errorf("start machine %s: it is on already", m.Name)
	}
	m.console.skip()
	l, err := m.launch()
	if err != nil {
		return fmt.Errorf("start machine %s: %w", m.Name, err)
	}
	m.live = l
	if err := l.qmp.greet(ctx); err != nil {
		return fmt.Errorf("start machine %s: %w", m.Name, errors.Join(err, l.end(), l.trouble()))
	}
	m.room.log.Info("machine started", "machine", m.Name, "firmware", m.Firmware, "pid", l.cmd.Process.Pid)
	return nil
}

// Stop pulls the plug; a machine that is off stays off.
func (m *Machine) Stop() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.live == nil {
		return nil
	}
	if err := m.live.end(); err != nil {
		return fmt.Errorf("stop machine %s: %w", m.Name, err)
	}
	return nil
}

// Reset presses the reset button.
func (m *Machine) Reset(ctx context.Context) error {
	l, err := m.on()
	if err != nil {
		return fmt.Errorf("reset machine: %w", err)
	}
	m.console.skip()
	if err := l.qmp.execute(ctx, "system_reset", nil); err != nil {
		return fmt.Errorf("reset machine %s: %w", m.Name, err)
	}
	return nil
}

// Screenshot writes what the monitor shows to a PNG file.
func (m *Machine) Screenshot(ctx context.Context, path string) error {
	l, err := m.on()
	if err != nil {
		return fmt.Errorf("take screenshot: %w", err)
	}
	if err := l.qmp.execute(ctx, "screendump", map[string]any{"filename": path, "format": "png"}); err != nil {
		return fmt.Errorf("take screenshot of %s: %w", m.Name, err)
	}
	return nil
}

// Wait waits until the machine is off: its system powered it down, or it was stopped.
func (m *Machine) Wait(ctx context.Context) error {
	m.mu.Lock()
	l := m.live
	m.mu.Unlock()
	if l == nil {
		return nil
	}
	select {
	case <-l.done:
		return l.trouble()
	case <-ctx.Done():
		return fmt.Errorf("wait for machine %s to go off: %w", m.Name, ctx.Err())
	}
}

func (m *Machine) on() (*life, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.live == nil || m.live.over() {
		return nil, fmt.Errorf("machine %s is off", m.Name)
	}
	return m.live, nil
}

func (m *Machine) file(kind string) string { return m.room.path(m.Name + "." + kind) }
