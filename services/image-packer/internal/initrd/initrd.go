// Package initrd builds the initial ramdisk of an image out of the image's own files and Luna's agent.
package initrd

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"time"

	"github.com/luna-hpc/luna/services/image-packer/internal/kernel"
	"github.com/luna-hpc/luna/services/image-packer/internal/stage"
	"github.com/luna-hpc/luna/services/image-packer/internal/tree"
)

// Options say what to build of.
type Options struct {
	// Tree is the image's directory.
	Tree string
	// KernelVersion whose modules go in; it must be there.
	KernelVersion string
	// AgentBinary is the path of a static luna-agent on this machine, for the image's processor.
	AgentBinary string
	// KernelModules are taken besides the drivers that every initrd has; "-name" leaves one out.
	KernelModules []string
	// Quick packs in a few seconds instead of a minute, into an archive that is a fifth larger.
	Quick bool
	// WorkDir is where the ramdisk is put together; empty is the system's directory for temporary files.
	WorkDir string
	// Progress, when not nil, hears how many bytes of how many are packed.
	Progress func(done, total int64)
	// Out gets the compressed archive.
	Out io.Writer
}

// Report says what went into an initrd and what could not.
type Report struct {
	// Size of the compressed archive and of its content, in bytes.
	Size, Unpacked int64
	// Compression is zstd, or xz or gzip for a kernel that cannot unpack zstd.
	Compression string
	// Tools that are in, and those that the image lacks.
	Tools, MissingTools []string
	// Modules counts the kernel modules. LoadedModules were asked for by name and are loaded at boot; MissingModules were
	// asked for and cannot be had.
	Modules                       int
	LoadedModules, MissingModules []string
	// LeftModules names the modules of disks, networks and file systems that were left out; LeftParts says of which other
	// parts of the kernel how many were.
	LeftModules, LeftParts []string
	// Firmware files that are in, and those that a packed driver names and the image lacks.
	Firmware, MissingFirmware []string
	// Udev tells whether the image has one. Without it the agent loads the drivers.
	Udev bool
	// Tried tells whether each tool was started once. It cannot be for an image of another processor.
	Tried bool

	inputs  tree.Record
	started time.Time
}

// Build writes the initrd. Every program in it has been started once, in a chroot of the finished tree: one that cannot
// start is an error that names it. Build needs root's rights.
func Build(ctx context.Context, opts Options) (*Report, error) {
	report, err := build(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("build initrd of %s: %w", opts.Tree, err)
	}
	return report, nil
}

func build(ctx context.Context, opts Options) (report *Report, err error) {
	started, inputs := time.Now(), tree.Record{}
	image := tree.At(opts.Tree).Recording(inputs)
	k, err := kernel.Get(image, opts.KernelVersion)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(opts.WorkDir, "initrd-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := stage.New(dir, image)
	if err != nil {
		return nil, err
	}
	b := &builder{Options: opts, Stage: s, image: image, version: k.Version, report: &Report{inputs: inputs, started: started}}
	for _, step := range []func(context.Context) error{b.tools, b.agent, b.base, b.udev, b.modules, b.cache, b.try, b.secrets} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	if err := b.archive(ctx); err != nil {
		return nil, err
	}
	return b.report, nil
}

// builder puts one initrd together.
type builder struct {
	Options
	*stage.Stage
	image   tree.Tree
	version string
	report  *Report
	// programs are the paths in the stage of everything that is to be tried.
	programs []string
	// shell is a dynamic program, by which libraries are chosen; "" when the image has none.
	shell   string
	machine elf.Machine
}

var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "ppc64le": elf.EM_PPC64, "riscv64": elf.EM_RISCV}

// path returns where a program is in the stage, "" when it is not there.
func (b *builder) path(name string) string {
	for _, p := range b.programs {
		if path.Base(p) == name {
			return p
		}
	}
	return ""
}

// native tells whether programs of the image run on this machine.
func (b *builder) native() bool { return b.machine == machines[runtime.GOARCH] }

// agent puts the agent in, as what the kernel starts and under the names that it answers to.
func (b *builder) agent(context.Context) error {
	data, err := os.ReadFile(b.AgentBinary)
	if err != nil {
		return fmt.Errorf("read the agent: %w", err)
	}
	machine, err := static(b.AgentBinary)
	if err != nil {
		return fmt.Errorf("agent %s: %w", b.AgentBinary, err)
	}
	if b.machine == elf.EM_NONE {
		b.machine = machine
	}
	if machine != b.machine {
		return fmt.Errorf("agent %s is for %s, the image for %s", b.AgentBinary, machine, b.machine)
	}
	if err := b.Write("usr/bin/luna-agent", data, 0o755); err != nil {
		return err
	}
	b.programs = append(b.programs, "usr/bin/luna-agent")
	if err := b.Symlink("usr/bin/luna-agent", "init"); err != nil {
		return err
	}
	for _, name := range []string{"usr/bin/dig", "usr/bin/nslookup"} {
		if err := b.Symlink("luna-agent", name); err != nil {
			return err
		}
	}
	return nil
}

// static returns the processor of a static program, and an error for every other file.
func static(path string) (elf.Machine, error) {
	f, err := elf.Open(path)
	if err != nil {
		return elf.EM_NONE, err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return elf.EM_NONE, errors.New("is no static program (build it with CGO_ENABLED=0)")
		}
	}
	return f.Machine, nil
}
