package chroot

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// notification is struct seccomp_notif of seccomp_unotify(2).
type notification struct {
	id    uint64
	pid   uint32
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

// answer is struct seccomp_notif_resp.
type answer struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

// serve takes the listener of the filter and answers every uname(2) until nobody is left to ask.
func serve(from *os.File, release string) error {
	listener, err := receive(from)
	if err != nil || listener < 0 {
		return err
	}
	defer unix.Close(listener)
	name, err := unameWith(release)
	if err != nil {
		return err
	}
	for {
		p := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(p, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for uname: %w", err)
		}
		switch {
		case p[0].Revents&unix.POLLIN != 0:
			if err := answerOne(listener, name); err != nil {
				return err
			}
		case p[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0:
			return nil
		}
	}
}

// answerOne answers one call; who asked may have ended meanwhile.
func answerOne(listener int, name []byte) error {
	var n notification
	if err := ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)); err != nil {
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINTR) {
			return nil
		}
		return fmt.Errorf("hear of uname: %w", err)
	}
	a := answer{id: n.id}
	remote := []unix.RemoteIovec{{Base: uintptr(n.args[0]), Len: len(name)}}
	local := []unix.Iovec{{Base: &name[0]}}
	local[0].SetLen(len(name))
	if _, err := unix.ProcessVMWritev(int(n.pid), local, remote, 0); err != nil {
		a.errno = -int32(unix.EFAULT)
	}
	err := ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&a))
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("answer uname: %w", err)
	}
	return nil
}

// unameWith returns this machine's struct utsname with another release.
func unameWith(release string) ([]byte, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, fmt.Errorf("uname: %w", err)
	}
	if release != "" {
		clear(u.Release[:])
		copy(u.Release[:len(u.Release)-1], release)
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&u)), unsafe.Sizeof(u)), nil
}

func ioctl(fd int, request uint, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

// receive takes a file descriptor from a socket; -1 when the other end is gone.
func receive(from *os.File) (int, error) {
	oob := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(int(from.Fd()), make([]byte, 1), oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil || n == 0 {
		return -1, nil //nolint:nilerr // Enter says itself why it ended
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(messages) != 1 {
		return -1, fmt.Errorf("receive the filter's listener: %w", err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return -1, fmt.Errorf("receive the filter's listener: %w", err)
	}
	return fds[0], nil
}
