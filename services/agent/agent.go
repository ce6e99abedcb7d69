// Package agent is the program that runs in a node's initrd: process 1, the boot, and the commands of the install script.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/luna-hpc/luna/services/agent/internal/console"
	"github.com/luna-hpc/luna/services/agent/internal/lookup"
)

// usage is what the commands are.
const usage = `usage: luna-agent COMMAND

Commands of the install script, each of which reports its step to the head:
  step NAME                              run the bash script on standard input; a partscript must leave what LUNA_ROOT says, tmpfs or disk
  bmc                                    set the node's BMC up, as the JSON on standard input says
  payload --manifest D --torrent D       install a release in /sysroot, or mount a compressed one there
  identity                               write names and machine id, as the JSON on standard input says
  network                                write the network's files, as the JSON on standard input says
  finish                                 start the installed system when the script has ended

Commands for people in the initrd:
  about                                  tell name, address, ssh key and hardware of this node
  reboot                                 start the machine again, with what was written on its disks

Commands that a head starts on a running system, over ssh:
  tree                                   tell what the system has, and send files of it
  push                                   bring the system to another release

As process 1, and as boot, it boots the node. As dig and nslookup it asks name servers.
`

// Main runs the program that args name, the program's own name first, and
// returns its exit status.
func Main(args []string, in io.Reader, out, errOut io.Writer) int {
	if os.Getpid() == 1 {
		becomeInit(args)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	switch filepath.Base(args[0]) {
	case "dig":
		return lookup.NewResolver().Dig(ctx, args[1:], out, errOut)
	case "nslookup":
		return lookup.NewResolver().Nslookup(ctx, args[1:], out, errOut)
	}
	if len(args) < 2 {
		fmt.Fprint(errOut, usage)
		return 2
	}
	if args[1] == "boot" {
		return goBoot(ctx)
	}
	log := slog.New(console.NewHandler(slog.LevelInfo, errOut))
	err := command(ctx, log, args, in, out)
	if errors.Is(err, errUnknown) {
		fmt.Fprint(errOut, usage)
		return 2
	}
	if err != nil {
		log.Error(args[1], "err", err)
		return 1
	}
	return 0
}

var errUnknown = errors.New("there is no such command")

// command runs one that is typed, or that a script or a head gives.
func command(ctx context.Context, log *slog.Logger, args []string, in io.Reader, out io.Writer) error {
	if run, ok := machine[args[1]]; ok {
		return onMachine(ctx, run, args[2:], in, out)
	}
	run, ok := commands[args[1]]
	if !ok {
		return errUnknown
	}
	t, err := newTool(log, in, out)
	if err != nil {
		return err
	}
	return run(t, ctx, args[2:])
}

// commands are those of the install script and of people at a shell.
var commands = map[string]func(*tool, context.Context, []string) error{
	"step":     (*tool).step,
	"bmc":      (*tool).bmc,
	"payload":  (*tool).payload,
	"identity": (*tool).identity,
	"network":  (*tool).network,
	"finish":   (*tool).finish,
	"about":    (*tool).about,
	"reboot":   (*tool).reboot,
}
