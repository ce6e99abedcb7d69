package chroot

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// arches are the numbers by which the kernel tells a program's own architecture, linux/audit.h.
var arches = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}

// filterUname makes the uname(2) of this thread, and of what it starts, a question to the listener
// that it returns. A program of another architecture is not asked for: it sees this machine's kernel.
func filterUname() (listener int, err error) {
	const nr, arch = 0, 4 // offsets in struct seccomp_data
	load := uint16(unix.BPF_LD | unix.BPF_W | unix.BPF_ABS)
	equal := uint16(unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K)
	end := uint16(unix.BPF_RET | unix.BPF_K)
	program := []unix.SockFilter{
		{Code: load, K: arch},
		{Code: equal, K: arches[runtime.GOARCH], Jf: 3},
		{Code: load, K: nr},
		{Code: equal, K: unix.SYS_UNAME, Jf: 1},
		{Code: end, K: unix.SECCOMP_RET_USER_NOTIF},
		{Code: end, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return -1, fmt.Errorf("filter uname (Linux 5.0 or later can): %w", errno)
	}
	return int(fd), nil
}
