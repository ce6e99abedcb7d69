// Package udev runs the initrd's systemd-udevd, which loads drivers and names devices as the installed system will.
package udev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// settling bounds how long the devices that are there may take to be ready.
const settling = 90 * time.Second

// daemons are the places where distributions have the daemon.
var daemons = []string{"usr/lib/systemd/systemd-udevd", "lib/systemd/systemd-udevd"}

// Udev is a machine's udev.
type Udev struct {
	daemon string
	run    func(ctx context.Context, name string, args ...string) error
}

// Find returns the udev below root, or nil when there is none.
func Find(root string) *Udev {
	for _, path := range daemons {
		path = filepath.Join(root, path)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return &Udev{daemon: path, run: run}
		}
	}
	return nil
}

// Start starts the daemon, has it handle every device that is there already,
// and waits until it is done. The daemon runs on for the devices that come
// later. An error after the start leaves the daemon running.
func (u *Udev) Start(ctx context.Context) error {
	if err := u.run(ctx, u.daemon, "--daemon", "--resolve-names=never"); err != nil {
		return err
	}
	return errors.Join(
		u.run(ctx, "udevadm", "trigger", "--type=subsystems", "--action=add"),
		u.run(ctx, "udevadm", "trigger", "--type=devices", "--action=add"),
		u.Settle(ctx),
	)
}

// Settle waits until udev has nothing to do.
func (u *Udev) Settle(ctx context.Context) error {
	return u.run(ctx, "udevadm", "settle", fmt.Sprintf("--timeout=%.0f", settling.Seconds()))
}

// Stop ends the daemon. Of its knowledge stays what device mapper asked to keep
// for the installed system's udev.
func (u *Udev) Stop(ctx context.Context) error {
	return errors.Join(
		u.run(ctx, "udevadm", "control", "--exit"),
		u.run(ctx, "udevadm", "info", "--cleanup-db"),
	)
}

func run(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, last(out))
	}
	return nil
}

// last returns the last line of a program's output.
func last(out []byte) string {
	text := strings.TrimSpace(string(out))
	return text[strings.LastIndexByte(text, '\n')+1:]
}
