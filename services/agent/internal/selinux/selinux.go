// Package selinux labels the installed system before it starts, when its SELinux policy is on.
package selinux

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/luna-hpc/luna/pkg/sepolicy"
	"github.com/luna-hpc/luna/services/agent/internal/sysroot"
)

// System is the installed system, and what of this machine is needed to label it.
type System struct {
	// Root is where the installed system is.
	Root string
	// Kernel tells whether the kernel that runs has SELinux switched on.
	Kernel func() bool
	// Attach makes the kernel's file systems seen below Root, and returns what takes them away again.
	Attach func(root string) (detach func() error, err error)
	// Run runs a program of the system in the system, with this text on its standard input, and returns what it says.
	Run func(ctx context.Context, root, in, name string, args ...string) (string, error)
	// InMemory tells whether the file system of a path keeps no labels: a tmpfs.
	InMemory func(path string) (bool, error)
	// Unlabelled returns the paths below a folder that have no label, as that folder's own programs see them.
	Unlabelled func(ctx context.Context, root string) ([]string, error)
}

// New returns the system in root on this machine.
func New(root string) *System {
	return &System{Root: root, Kernel: kernel, Attach: attach, Run: chroot, InMemory: inMemory, Unlabelled: unlabelled}
}

// Result is what was done.
type Result struct {
	Policy sepolicy.Policy
	// Whole tells that every file was labelled; else Files of them were.
	Whole bool
	Files int
}

// Policy returns the policy that has to be loaded: none when the system or the kernel has SELinux off.
func (s *System) Policy() (policy sepolicy.Policy, err error) {
	tree, err := sysroot.Open(s.Root)
	if err != nil {
		return policy, err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	policy, err = sepolicy.Read(tree)
	if err != nil || !policy.On() || !s.Kernel() {
		return sepolicy.Policy{}, err
	}
	return policy, nil
}

// Label loads the policy and gives the files their labels: all of them on a tmpfs, which forgets what was unpacked into
// it, else those that have none, because they were written before a policy was loaded.
func (s *System) Label(ctx context.Context, policy sepolicy.Policy) (r Result, err error) {
	r.Policy = policy
	programs, err := s.programs()
	if err != nil {
		return r, err
	}
	r.Whole, err = s.InMemory(s.Root)
	if err != nil {
		return r, err
	}
	var paths []string
	if !r.Whole {
		if paths, err = s.Unlabelled(ctx, s.Root); err != nil {
			return r, err
		}
		// The programs label all that is below a folder.
		r.Whole = slices.Contains(paths, "/")
	}
	if !r.Whole {
		r.Files = len(paths)
	}
	detach, err := s.Attach(s.Root)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, detach()) }()
	if err := s.load(ctx, programs[0]); err != nil {
		return r, err
	}
	if r.Whole {
		return r, s.setfiles(ctx, programs[1], policy, nil)
	}
	if len(paths) == 0 {
		return r, nil
	}
	return r, s.setfiles(ctx, programs[1], policy, paths)
}

// programs returns where the system has load_policy and setfiles.
func (s *System) programs() (found []string, err error) {
	tree, err := sysroot.Open(s.Root)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
next:
	for _, name := range sepolicy.Programs {
		for _, place := range sepolicy.Places {
			if p := path.Join(place, name); tree.Exists(p) {
				found = append(found, "/"+p)
				continue next
			}
		}
		return nil, fmt.Errorf("the image's SELinux policy is on, but it has no %s: install policycoreutils in the image, or set SELINUX=disabled", name)
	}
	return found, nil
}

// load loads the policy. The program tells a policy that could not be loaded from other failures by its exit status, of
// which all mean that the system would start without labels that it relies on.
func (s *System) load(ctx context.Context, program string) error {
	said, err := s.Run(ctx, s.Root, "", program, "-i")
	if err != nil {
		return fmt.Errorf("load the SELinux policy: %w%s", err, after(said))
	}
	return nil
}

// volatile are the folders whose files the kernel or the system's start makes, and labels.
var volatile = []string{"/proc", "/sys", "/dev", "/run"}

func (s *System) setfiles(ctx context.Context, program string, policy sepolicy.Policy, paths []string) error {
	args := []string{"-F"}
	for _, dir := range volatile {
		args = append(args, "-e", dir)
	}
	in, contexts := "", "/"+policy.Contexts()
	if paths == nil {
		args = append(args, contexts, "/")
	} else {
		in = strings.Join(paths, "\x00") + "\x00"
		args = append(args, "-0", "-f", "-", contexts)
	}
	said, err := s.Run(ctx, s.Root, in, program, args...)
	if err != nil {
		return fmt.Errorf("label the files: %w%s", err, after(said))
	}
	return nil
}

// after returns the last line that a program said, to stand after an error.
func after(said string) string {
	said = strings.TrimSpace(said)
	if said == "" {
		return ""
	}
	return ": " + said[strings.LastIndexByte(said, '\n')+1:]
}

// chroot runs a program of the system in root with root as its root.
func chroot(ctx context.Context, root, in, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	cmd.SysProcAttr = enter(root)
	cmd.Stdin = strings.NewReader(in)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w", filepath.Base(name), err)
	}
	return string(out), err
}
