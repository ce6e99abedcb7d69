package boot

import (
	"context"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/services/agent/internal/clock"
	"github.com/luna-hpc/luna/services/agent/internal/modalias"
	"github.com/luna-hpc/luna/services/agent/internal/netif"
	"github.com/luna-hpc/luna/services/agent/internal/preload"
	"github.com/luna-hpc/luna/services/agent/internal/report"
	"github.com/luna-hpc/luna/services/agent/internal/udev"
)

// prepare makes the machine ready for the network. What fails is said and
// reported: the network may come up all the same.
func (b *Boot) prepare(ctx context.Context) {
	begin := time.Now()
	b.Log.Info("the node agent starts", "node", b.Line.Node, "kernel", kernel(), "head", b.Line.URL.Host)
	for _, key := range b.Line.Unknown {
		b.Log.Warn("the kernel command line has a parameter that this agent does not know", "parameter", key)
	}
	values := map[string]string{"kernel": kernel(), "processors": strconv.Itoa(runtime.NumCPU())}
	if off, err := clock.System().Correct(b.Line.Time); err != nil {
		b.Log.Error("the clock is wrong", "err", err)
	} else if off != 0 {
		values["clock_set_by"] = off.String()
		b.Log.Warn("the clock was wrong and is set to the head's time", "set_forward_by", off)
	}
	if err := unix.Sethostname([]byte(b.Line.Hostname)); err != nil {
		b.Log.Warn("set the host name", "err", err)
	}
	if err := netif.Loopback(); err != nil {
		b.Log.Warn("loopback", "err", err)
	}
	by, probe, err := b.devices(ctx)
	if err != nil {
		b.Log.Error("devices", "err", err)
	}
	if failed := b.named(ctx, probe); len(failed) > 0 {
		values["not_loaded"] = strings.Join(failed, " ")
	}
	values["devices_by"], values["modules"] = by, strings.Join(modules(), " ")
	b.Report.Ended(ctx, "agent.start", time.Since(begin), report.Result{Tried: by, Values: values}, err)
}

// devices loads the drivers of the machine's devices, with the initrd's udev
// or, where it has none, by the agent itself. It returns what loads others.
func (b *Boot) devices(ctx context.Context) (by string, probe preload.Probe, err error) {
	if u := udev.Find("/"); u != nil {
		return "systemd-udevd", preload.Modprobe, u.Start(ctx)
	}
	l, err := modalias.NewLoader(b.Log)
	if err != nil {
		return "modules.alias", preload.Modprobe, err
	}
	go func() {
		// It ends with the boot process.
		if err := l.Follow(ctx); err != nil && ctx.Err() == nil {
			b.Log.Warn("devices that come later get no driver", "err", err)
		}
	}()
	return "modules.alias", l.Named, l.Walk("/sys/devices")
}

// named loads the modules that the image's kernmodules name, and returns those
// that could not be loaded: this machine may have no use for them.
func (b *Boot) named(ctx context.Context, probe preload.Probe) (failed []string) {
	names, err := preload.Names(os.DirFS("/"))
	if err == nil {
		failed, err = preload.Load(ctx, names, probe)
	}
	if err != nil {
		b.Log.Info("not every module that the image names is loaded", "err", err)
	}
	return failed
}

func kernel() string {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(uts.Release[:])
}

// modules returns the names of the kernel modules that are loaded.
func modules() []string {
	data, err := os.ReadFile("/proc/modules")
	if err != nil {
		return nil // A kernel without modules.
	}
	var names []string
	for line := range strings.Lines(string(data)) {
		name, _, _ := strings.Cut(line, " ")
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
