package chroot

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// socket is the file descriptor over which the listener goes.
const socket = 3

// Enter is the first process of the namespaces that Run makes. args are the root and the command.
// It does not return: its exit status is the command's.
func Enter(args []string) {
	status, err := enter(args[0], args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "luna:", err)
		status = 1
	}
	os.Exit(status)
}

func enter(root string, command []string) (int, error) {
	runtime.LockOSThread() // the filter is this thread's
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGQUIT)
	if err := mountAll(root); err != nil {
		return 0, err
	}
	if err := errors.Join(unix.Chdir(root), unix.Chroot("."), unix.Chdir("/")); err != nil {
		return 0, fmt.Errorf("change root to %s: %w", root, err)
	}
	if len(command) == 0 {
		command = []string{shell(), "-l"}
	}
	path, err := find(command[0])
	if err != nil {
		return 127, err
	}
	listener, err := filterUname()
	if err != nil {
		return 0, err
	}
	if err := unix.Sendmsg(socket, []byte{0}, unix.UnixRights(listener), nil, 0); err != nil {
		return 0, fmt.Errorf("send the filter's listener: %w", err)
	}
	if err := errors.Join(unix.Close(listener), unix.Close(socket)); err != nil {
		return 0, err
	}
	pid, err := syscall.ForkExec(path, command, &syscall.ProcAttr{Env: environment(), Files: []uintptr{0, 1, 2}})
	if err != nil {
		return 126, fmt.Errorf("start %s: %w", command[0], err)
	}
	return reap(pid)
}

// searchPath is where commands are looked for in an image.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func find(name string) (string, error) {
	if err := os.Setenv("PATH", searchPath); err != nil {
		return "", err
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("the image has no program %s", name)
	}
	return path, nil
}

// shell returns a shell that the image has.
func shell() string {
	if _, err := os.Stat("/bin/bash"); err == nil {
		return "/bin/bash"
	}
	return "/bin/sh"
}

// environment is what a login of root has, and what tells of the terminal.
func environment() []string {
	env := []string{"HOME=/root", "USER=root", "LOGNAME=root", "SHELL=" + shell(), "PATH=" + searchPath}
	for _, name := range []string{"TERM", "LANG", "LC_ALL", "http_proxy", "https_proxy", "no_proxy", "DEBIAN_FRONTEND"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// reap waits for the command, and for all that is left to this first process meanwhile.
func reap(pid int) (int, error) {
	for {
		var ws syscall.WaitStatus
		got, err := syscall.Wait4(-1, &ws, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 0, fmt.Errorf("wait for the command: %w", err)
		case got == pid && ws.Signaled():
			return 128 + int(ws.Signal()), nil
		case got == pid:
			return ws.ExitStatus(), nil
		}
	}
}

// mountAll gives the image what a booted system has, in this namespace alone.
func mountAll(root string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
		data                 string
	}{
		{root, "", "", unix.MS_BIND, ""}, // programs that look for / among the mounts find it
		{"proc", "proc", "proc", unix.MS_NOSUID | unix.MS_NOEXEC | unix.MS_NODEV, ""},
		{"/sys", "sys", "", unix.MS_BIND | unix.MS_REC, ""},
		{"/dev", "dev", "", unix.MS_BIND | unix.MS_REC, ""},
		{"tmpfs", "run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=755"},
	} {
		target := filepath.Join(root, m.target)
		if err := unix.Mount(m.source, target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s at %s: %w", m.source, target, err)
		}
	}
	return resolver(root)
}

// resolver lets the image ask the head's name servers, where it has a file for that or a link into
// /run, which is empty.
func resolver(root string) error {
	const conf = "/etc/resolv.conf"
	target := filepath.Join(root, conf)
	if link, err := os.Readlink(target); err == nil {
		if !filepath.IsAbs(link) {
			link = filepath.Join("/etc", link)
		}
		target = filepath.Join(root, link)
		if !strings.HasPrefix(filepath.Clean(link), "/run/") {
			return nil
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(target, nil, 0o644); err != nil {
			return err
		}
	}
	if info, err := os.Lstat(target); err != nil || !info.Mode().IsRegular() {
		return nil //nolint:nilerr // an image without the file gets none
	}
	if _, err := os.Stat(conf); err != nil {
		return nil //nolint:nilerr // this machine has none to give
	}
	if err := unix.Mount(conf, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s at %s: %w", conf, target, err)
	}
	return nil
}
