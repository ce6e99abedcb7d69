package erofs

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Modules are the kernel modules that a compressed root takes: loop and erofs for the image, overlay for what is written.
// Loop devices are there only once their module is.
var Modules = []string{"loop", "erofs", "overlay"}

// loopControl is made by devtmpfs when the loop module is loaded.
const loopControl = "/dev/loop-control"

// Mount mounts the image in a file on dir. The loop device that it takes ends with the mount; the file may lose its
// name before.
func Mount(file, dir string) (err error) {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	loop, err := attach(f)
	if err != nil {
		return fmt.Errorf("a loop device for %s: %w", file, err)
	}
	defer func() { err = errors.Join(err, loop.Close()) }()
	if err := unix.Mount(loop.Name(), dir, "erofs", unix.MS_RDONLY|unix.MS_NOATIME, ""); err != nil {
		return fmt.Errorf("mount %s as erofs on %s: %w", file, dir, err)
	}
	return nil
}

// attach returns an open loop device of f. It is free again when its last user closes it.
func attach(f *os.File) (*os.File, error) {
	control, err := os.OpenFile(loopControl, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	const tries = 50 // others take loop devices as well
	for range tries {
		var loop *os.File
		if loop, err = take(control, f); err == nil || !errors.Is(err, unix.EBUSY) {
			return loop, err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, err
}

func take(control, f *os.File) (*os.File, error) {
	number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return nil, fmt.Errorf("look for a free one: %w", err)
	}
	loop, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", number), os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	config := unix.LoopConfig{Fd: uint32(f.Fd()), Size: BlockSize, Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_READ_ONLY | unix.LO_FLAGS_AUTOCLEAR}}
	if err := unix.IoctlLoopConfigure(int(loop.Fd()), &config); err != nil {
		return nil, errors.Join(fmt.Errorf("set up %s: %w", loop.Name(), err), loop.Close())
	}
	return loop, nil
}
