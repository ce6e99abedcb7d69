package initrd

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/luna-hpc/luna/services/image-packer/internal/scan"
	"github.com/luna-hpc/luna/services/image-packer/internal/tree"
)

// patience bounds one try of a program.
const patience = 30 * time.Second

// environment is that of programs in a chroot.
var environment = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C"}

// nobody tries programs: with root's rights some make devices and speak to this machine's kernel.
var nobody = &syscall.Credential{Uid: 65534, Gid: 65534}

// chroot runs a program of the tree in the tree, as root when as is nil, and returns what it said. It is given no
// terminal and no input.
func chroot(ctx context.Context, root tree.Tree, as *syscall.Credential, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = "/"
	cmd.Env = environment
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root.String(), Credential: as, Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return out, err
}

// cache has ldconfig list the libraries, for those that lie where the loader does not look by itself.
func (b *builder) cache(ctx context.Context) error {
	if !b.native() {
		return nil
	}
	if err := b.optional("etc/ld.so.conf"); err != nil {
		return err
	}
	if err := b.glob("etc/ld.so.conf.d", "*.conf", nil); err != nil {
		return err
	}
	// In some images ldconfig is a script around ldconfig.real.
	for _, p := range []string{"sbin/ldconfig.real", "usr/sbin/ldconfig.real", "sbin/ldconfig", "usr/sbin/ldconfig"} {
		if !b.image.IsFile(p) {
			continue
		}
		if err := b.Add(p); err != nil {
			return err
		}
		if out, err := chroot(ctx, b.Root, nil, "/"+p, "-X"); err != nil {
			return fmt.Errorf("ldconfig: %w\n%s", err, out)
		}
		return b.Remove(p)
	}
	return nil
}

// try starts every program once. Whatever it answers to --version is right, as long as it was the program that answered.
func (b *builder) try(ctx context.Context) error {
	if !b.native() {
		return nil
	}
	if err := os.Chmod(b.Root.String(), 0o755); err != nil {
		return err
	}
	var mu sync.Mutex
	var failed []string
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2 * runtime.GOMAXPROCS(0))
	for _, p := range b.programs {
		g.Go(func() error {
			out, err := chroot(ctx, b.Root, nobody, "/"+p, "--version")
			if reason := cannotStart(err); reason != "" {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, fmt.Sprintf("%s (%s: %s)", path.Base(p), reason, firstLine(out)))
			}
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if len(failed) > 0 {
		slices.Sort(failed)
		return fmt.Errorf("programs of the image do not start in the initrd: %s", strings.Join(failed, "; "))
	}
	b.report.Tried = true
	return errors.Join(b.empty("tmp"), b.empty("var/tmp"))
}

// empty removes what tries have left in a directory.
func (b *builder) empty(dir string) error {
	entries, err := b.Root.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(b.Root.Host(path.Join(dir, e.Name()))); err != nil {
			return err
		}
	}
	return nil
}

// cannotStart tells the failure of a program to start from a program's own exit status: "" for the latter.
func cannotStart(err error) string {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &exit):
		return err.Error()
	case exit.Sys().(syscall.WaitStatus).Signaled():
		// A program that does not like its arguments may abort.
		if exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGABRT {
			return ""
		}
		return exit.Error()
	case exit.ExitCode() == 126 || exit.ExitCode() == 127:
		// The loader, and a shell that looks for a script's commands.
		return exit.Error()
	}
	return ""
}

func firstLine(out []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(out), []byte("\n"))
	return string(line)
}

// secrets makes sure that no private key is in what every machine on the network can fetch. Programs do not count:
// libgnutls carries the keys of its own self-test, which everybody has.
func (b *builder) secrets(context.Context) error {
	return filepath.WalkDir(b.Root.String(), func(host string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(host)
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(data, []byte(elf.ELFMAG)) && scan.HasPrivateKey(data) {
			return fmt.Errorf("%s holds a private key, and the initrd is public", strings.TrimPrefix(host, b.Root.String()))
		}
		return nil
	})
}
