package exchange

import (
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// direct is a TCP connection that is read, written and set up by system calls of which Go's scheduler is not told. They
// never wait, so that it need not know. Those that it is told of may each wake another thread for nothing, its monitor's,
// as often as something comes or goes.
//
// One goroutine at a time may read, and one write.
type direct struct {
	*net.TCPConn
	raw     syscall.RawConn
	in, out attempt
}

// attempt is a system call that moves bytes, made again when it would have had to wait.
type attempt struct {
	name        string
	trap, flags uintptr
	wait        func(try func(fd uintptr) bool) error // until the call can be made
	try         func(fd uintptr) bool                 // once
	buf         []byte
	n           int
	err         unix.Errno
}

// directly returns a connection as one that is used directly.
func directly(c *net.TCPConn) (*direct, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	d := &direct{TCPConn: c, raw: raw}
	d.in = attempt{name: "recvfrom", trap: unix.SYS_RECVFROM, wait: raw.Read, try: d.in.once}
	d.out = attempt{name: "sendto", trap: unix.SYS_SENDTO, wait: raw.Write, try: d.out.once}
	return d, nil
}

// once makes the call, and tells whether it did not have to wait.
func (a *attempt) once(fd uintptr) bool {
	for {
		n, _, err := unix.RawSyscall6(a.trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(a.buf))), uintptr(len(a.buf)), a.flags|unix.MSG_DONTWAIT, 0, 0)
		if err != unix.EINTR {
			a.n, a.err = int(n), err
			return err != unix.EAGAIN
		}
	}
}

// run waits until the call can be made, and makes it.
func (a *attempt) run(b []byte, flags uintptr) (int, error) {
	a.buf, a.flags = b, flags
	err := a.wait(a.try)
	a.buf = nil
	if err == nil && a.err != 0 {
		err = os.NewSyscallError(a.name, a.err)
	}
	if err != nil {
		return 0, err
	}
	return a.n, nil
}

// Read reads what is there, or waits.
func (d *direct) Read(b []byte) (int, error) {
	n, err := d.in.run(b, 0)
	if err == nil && n == 0 && len(b) > 0 {
		err = io.EOF
	}
	return n, err
}

// Write writes all.
func (d *direct) Write(b []byte) (int, error) { return d.send(b, 0) }

// writeApart writes so that the next write waits until little of this is unsent. Without the end of a record
// (MSG_EOR) the kernel would add the next to the last packet that waits, up to 64 KB, whatever TCP_NOTSENT_LOWAT says.
func (d *direct) writeApart(b []byte) (int, error) { return d.send(b, unix.MSG_EOR) }

func (d *direct) send(b []byte, flags uintptr) (sent int, err error) {
	for sent < len(b) {
		n, err := d.out.run(b[sent:], flags|unix.MSG_NOSIGNAL)
		if err != nil {
			return sent, err
		}
		sent += n
	}
	return sent, nil
}

// set sets an option. Anybody may call it.
func (d *direct) set(level, name, value int) error {
	v := int32(value)
	var failed unix.Errno
	err := d.raw.Control(func(fd uintptr) {
		_, _, failed = unix.RawSyscall6(unix.SYS_SETSOCKOPT, fd, uintptr(level), uintptr(name), uintptr(unsafe.Pointer(&v)), unsafe.Sizeof(v), 0)
	})
	if err == nil && failed != 0 {
		err = os.NewSyscallError("setsockopt", failed)
	}
	return err
}
