package agent

import (
	"context"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/luna-hpc/luna/services/agent/internal/boot"
	"github.com/luna-hpc/luna/services/agent/internal/cmdline"
	"github.com/luna-hpc/luna/services/agent/internal/console"
	"github.com/luna-hpc/luna/services/agent/internal/pid1"
	"github.com/luna-hpc/luna/services/agent/internal/sysroot"
)

// becomeInit is process 1 of the initrd. It never returns.
func becomeInit(args []string) {
	mounted := sysroot.Base()
	// Without it the kernel drops messages of programs that say much.
	unlimited := os.WriteFile("/proc/sys/kernel/printk_devkmsg", []byte("on\n"), 0o644)
	_ = os.Setenv("PATH", boot.Path)
	// Switching the root closes the consoles' devices, so each message opens them anew.
	log := slog.New(console.NewHandler(slog.LevelInfo, everyConsole{}))
	if mounted != nil {
		log.Error("the kernel's file systems", "err", mounted)
	}
	if unlimited != nil {
		log.Warn("the kernel's log takes few messages", "err", unlimited)
	}
	line, err := cmdline.Read(cmdline.Path)
	if err != nil {
		line.Init = "/sbin/init" // The boot process says what is wrong.
	}
	// What the kernel does not know itself it gives to init.
	argv := append([]string{line.Init}, args[1:]...)
	(&pid1.Init{Root: defaultRoot, Command: []string{"luna-agent", "boot"}, Argv: argv, Log: log}).Run()
}

// everyConsole writes a message to the consoles and the kernel's log, and waits
// a little until it is out.
type everyConsole struct{}

func (everyConsole) Write(p []byte) (int, error) {
	set := console.Open("/")
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err := set.Write(p)
	if closed := set.Close(ctx); err == nil {
		err = closed
	}
	if kmsg := openKmsg(); kmsg != nil {
		defer kmsg.Close()
		_, _ = console.Kmsg{To: kmsg}.Write(p)
	}
	return len(p), err
}

// goBoot is the boot process.
func goBoot(ctx context.Context) int {
	line, wrong := cmdline.Read(cmdline.Path)
	consoles := console.Open("/", line.Console)
	writers := []io.Writer{consoles}
	if kmsg := openKmsg(); kmsg != nil {
		defer kmsg.Close()
		writers = append(writers, console.Kmsg{To: kmsg})
	}
	log := slog.New(console.NewHandler(slog.LevelInfo, writers...))
	err := wrong
	if wrong != nil {
		hopeless(ctx, line, wrong, consoles, log)
	} else if err = boot.New(line, defaultRun, defaultRoot, consoles, log).Go(ctx); err != nil {
		log.Error("the boot failed", "err", err)
	}
	closing, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = consoles.Close(closing) // A console that hangs loses its last lines.
	if err != nil {
		return 1
	}
	return 0
}

// hopeless says again and again what is wrong with the kernel command line,
// and offers shells.
func hopeless(ctx context.Context, line cmdline.Line, wrong error, consoles *console.Set, log *slog.Logger) {
	desk := boot.Desk(line.Console, consoles.Names(), []string{"PATH=" + boot.Path, "HOME=/root"}, func() string { return wrong.Error() + "\n" }, log)
	go desk.Run(ctx)
	for ctx.Err() == nil {
		log.Error("this node cannot boot; Enter opens a shell", "err", wrong)
		select {
		case <-time.After(30 * time.Second):
			_ = desk.Idle(ctx)
		case <-ctx.Done():
		}
	}
}

// openKmsg opens the kernel's log, or returns nil.
func openKmsg() *os.File {
	f, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if err != nil {
		return nil
	}
	return f
}
