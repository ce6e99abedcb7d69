package modalias

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/u-root/u-root/pkg/kmodule"
	"golang.org/x/sys/unix"
)

// Loader loads modules by modalias.
type Loader struct {
	index *Index
	// probe loads a module with what it depends on.
	probe func(module, options string) error
	log   *slog.Logger

	mu   sync.Mutex
	done map[string]bool
}

// NewLoader returns a Loader for the running kernel.
func NewLoader(log *slog.Logger) (*Loader, error) {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return nil, fmt.Errorf("read the kernel's version: %w", err)
	}
	index, err := Read(os.DirFS("/"), unix.ByteSliceToString(uts.Release[:]))
	if err != nil {
		return nil, err
	}
	prober, err := kmodule.NewProber(kmodule.ProbeOpts{})
	if err != nil {
		return nil, fmt.Errorf("read the modules' dependencies: %w", err)
	}
	return &Loader{index: index, probe: prober.Probe, log: log, done: map[string]bool{}}, nil
}

// Load loads the modules for one modalias. Each module is tried once; one
// that the machine has no use for fails, which is logged.
func (l *Loader) Load(modalias string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, module := range l.index.Match(modalias) {
		if err := l.load(module); err != nil {
			l.log.Warn("a driver cannot be loaded", "module", module, "err", err)
		}
	}
}

// Named loads a module by its name.
func (l *Loader) Named(_ context.Context, name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.load(name)
}

// load loads a module with those that should come before and after it, each once.
func (l *Loader) load(module string) error {
	var errs []error
	for _, one := range l.index.Order(module) {
		if l.done[one] {
			continue
		}
		l.done[one] = true
		if err := l.probe(one, l.index.Options(one)); err != nil && !errors.Is(err, unix.EEXIST) {
			errs = append(errs, fmt.Errorf("load %s: %w", one, err))
		}
	}
	return errors.Join(errs...)
}

// Walk loads the modules of all devices below sys, which is /sys/devices. It
// walks again while modules bring devices, as a bus driver does, at most ten times.
func (l *Loader) Walk(sys string) error {
	seen := map[string]bool{}
	for range 10 {
		found, err := modaliases(sys)
		if err != nil {
			return err
		}
		fresh := slices.DeleteFunc(found, func(m string) bool { return seen[m] })
		if len(fresh) == 0 {
			return nil
		}
		for _, m := range fresh {
			seen[m] = true
			l.Load(m)
		}
	}
	return nil
}

func modaliases(sys string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(sys, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != sys {
			return nil // A device that went away.
		}
		if err != nil || e.Name() != "modalias" {
			return err
		}
		data, err := os.ReadFile(path)
		if m := strings.TrimSpace(string(data)); err == nil && m != "" {
			found = append(found, m)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for devices: %w", err)
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// Follow loads the modules of devices that come later, until ctx ends.
func (l *Loader) Follow(ctx context.Context) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return fmt.Errorf("listen for devices: %w", err)
	}
	socket := os.NewFile(uintptr(fd), "uevent")
	defer socket.Close()
	// Group 1 is the kernel's own messages.
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		return fmt.Errorf("listen for devices: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { socket.Close() })
	defer stop()
	buf := make([]byte, 64<<10)
	for ctx.Err() == nil {
		n, err := socket.Read(buf)
		if errors.Is(err, unix.ENOBUFS) {
			continue // Messages were lost; the ones that follow are still good.
		}
		if err != nil {
			return context.Cause(ctx)
		}
		if m := added(buf[:n]); m != "" {
			l.Load(m)
		}
	}
	return context.Cause(ctx)
}

// added returns the modalias in a kernel's message that a device came, or "".
func added(message []byte) string {
	m, add := "", false
	for field := range strings.SplitSeq(string(message), "\x00") {
		if value, ok := strings.CutPrefix(field, "MODALIAS="); ok {
			m = value
		}
		add = add || field == "ACTION=add"
	}
	if !add {
		return ""
	}
	return m
}
