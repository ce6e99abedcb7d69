package sysroot

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// pathCall makes a system call whose only argument is a path.
func pathCall(number uintptr, path *byte) error {
	if _, _, errno := unix.Syscall(number, uintptr(unsafe.Pointer(path)), 0, 0); errno != 0 {
		return errno
	}
	return nil
}
