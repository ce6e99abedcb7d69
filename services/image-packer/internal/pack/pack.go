// Package pack makes a release of an image's directory.
package pack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/release"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/image-packer/internal/initrd"
	"github.com/luna-hpc/luna/services/image-packer/internal/keep"
	"github.com/luna-hpc/luna/services/image-packer/internal/kernel"
	"github.com/luna-hpc/luna/services/image-packer/internal/tree"
)

// Reporter hears how a pack goes on.
type Reporter interface {
	Phase(name, unit string)
	Progress(done, total int64)
	Note(lines ...string)
}

// Packer makes releases.
type Packer struct {
	// Payload is the directory of segments.
	Payload string
	// Index is the directory of what each image's last pack remembers.
	Index string
	// Work is the directory for what a pack puts together and takes apart again.
	Work string
	// Agent is the file of the node agent.
	Agent string
	// Quick makes larger initrds in less time.
	Quick bool
	Files *keep.Files
	Head  string
}

// What says which parts to make; parts that are not made are taken from the last release.
type What struct {
	Payload, Boot, CopyBoot bool
	// Overlay asks for the compressed image of a payload too.
	Overlay bool
}

// needsBoot tells whether an initrd must be made that was not asked for: that of a release without a compressed image
// may be older than these.
func (w What) needsBoot(last *imagepackerv1.Release) bool {
	return w.Overlay && w.Payload && !w.Boot && last.GetOverlay() == nil
}

// Pack makes a release of an image. last is the current one, or nil.
func (p *Packer) Pack(ctx context.Context, image *inventoryv1.Osimage, what What, last *imagepackerv1.Release, rep Reporter) (*imagepackerv1.Release, error) {
	if last == nil && !(what.Payload && what.Boot) {
		return nil, fault.Conflictf("osimage %s was never packed whole: pack it without --image and --boot first", image.Name)
	}
	t := tree.At(image.Path)
	k, err := kernel.Get(t, image.Kernver)
	if errors.Is(err, kernel.ErrNone) {
		return nil, fault.Invalidf("osimage %s: %w: %s", image.Name, err, kernel.Missing(t, image.Name))
	}
	if err != nil {
		return nil, fault.Invalidf("%w", err)
	}
	r := &imagepackerv1.Release{Osimage: image.Name, Kernver: k.Version, Head: p.Head, Time: time.Now().UTC().Format(time.RFC3339)}
	if what.needsBoot(last) {
		rep.Note("kernel and initrd are packed too: an initrd from before the first compressed image may hold an agent that cannot mount it")
		what.Boot = true
	}
	if what.Boot {
		if err := p.boot(ctx, t, k, image, what, r, rep); err != nil {
			return nil, err
		}
	} else {
		r.Kernel, r.Initrd, r.InitrdBytes, r.Kernver = last.Kernel, last.Initrd, last.InitrdBytes, last.Kernver
	}
	if what.Payload {
		if err := p.payload(ctx, image, r, last, rep); err != nil {
			return nil, err
		}
		if what.Overlay {
			if err := p.overlay(ctx, t, image, r, last, rep); err != nil {
				return nil, err
			}
		}
	} else {
		r.Manifest, r.Torrent, r.InfoHash = last.Manifest, last.Torrent, last.InfoHash
		r.PayloadBytes, r.UnpackedBytes, r.Overlay = last.PayloadBytes, last.UnpackedBytes, last.Overlay
		if what.Overlay && r.Overlay == nil {
			r.Warnings = append(r.Warnings, "there is no compressed image, which root overlay needs: pack the image without --boot")
		}
	}
	rep.Note(r.Warnings...)
	return r, nil
}

// boot stores kernel and initrd.
func (p *Packer) boot(ctx context.Context, t tree.Tree, k kernel.Kernel, image *inventoryv1.Osimage, what What, r *imagepackerv1.Release, rep Reporter) error {
	rep.Phase("initrd", "bytes")
	r.Warnings = append(r.Warnings, ofImage(image)...)
	d, _, err := p.Files.Add(func(w io.Writer) error { return copyFile(w, t.Host(k.Path)) })
	if err != nil {
		return fmt.Errorf("store kernel: %w", err)
	}
	r.Kernel = d.String()
	if what.CopyBoot {
		d, r.InitrdBytes, err = p.Files.Add(func(w io.Writer) error { return p.copyInitrd(w, t, k) })
	} else {
		d, r.InitrdBytes, err = p.initrd(ctx, k, image, r, rep)
	}
	if err != nil {
		return fault.Conflictf("make initrd: %w", err)
	}
	r.Initrd = d.String()
	return nil
}

// initrd stores the image's initrd. One that would become the same again is not built.
func (p *Packer) initrd(ctx context.Context, k kernel.Kernel, image *inventoryv1.Osimage, r *imagepackerv1.Release, rep Reporter) (release.Digest, int64, error) {
	opts := initrd.Options{
		Tree: image.Path, KernelVersion: k.Version, AgentBinary: p.Agent,
		KernelModules: inventoryv1.Words(image.Kernmodules), Quick: p.Quick, WorkDir: p.Work, Progress: rep.Progress,
	}
	memory := filepath.Join(p.Index, image.Id+"-initrd")
	if report, d, ok := initrd.Recall(memory, opts); ok {
		if info, err := os.Stat(p.Files.Path(d)); err == nil && info.Size() == report.Size {
			r.Warnings = append(r.Warnings, ofInitrd(report)...)
			return d, report.Size, nil
		}
	}
	var report *initrd.Report
	d, size, err := p.Files.Add(func(w io.Writer) (err error) {
		opts.Out = w
		report, err = initrd.Build(ctx, opts)
		return err
	})
	if err != nil {
		return "", 0, err
	}
	r.Warnings = append(r.Warnings, ofInitrd(report)...)
	return d, size, initrd.Remember(memory, opts, report, d)
}

// copyInitrd takes the image's own initrd.
func (p *Packer) copyInitrd(w io.Writer, t tree.Tree, k kernel.Kernel) error {
	for _, name := range []string{"boot/initrd.img-" + k.Version, "boot/initramfs-" + k.Version + ".img", "lib/modules/" + k.Version + "/initrd"} {
		real, _, err := t.Trace(name)
		if err != nil {
			continue
		}
		return copyFile(w, t.Host(real))
	}
	return fault.NotFoundf("the image has no initrd of its own for kernel %s", k.Version)
}

func copyFile(w io.Writer, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// payload stores segments, manifest and torrent.
func (p *Packer) payload(ctx context.Context, image *inventoryv1.Osimage, r, last *imagepackerv1.Release, rep Reporter) error {
	rep.Phase("payload", "bytes")
	m, err := release.Pack(ctx, release.Options{
		Tree: image.Path, PayloadDir: p.Payload, KernelVersion: r.Kernver, PieceLength: p.pieceLength(last.GetManifest()),
		Index: filepath.Join(p.Index, image.Id), Progress: rep.Progress,
		Foreign: func(name string) { r.Warnings = append(r.Warnings, Mounted(image.Path, name)) },
	})
	if err != nil {
		return fault.Conflictf("pack %s: %w", image.Path, err)
	}
	rep.Phase("torrent", "bytes")
	f, err := p.store(m)
	if err != nil {
		return err
	}
	r.Torrent, r.Manifest, r.InfoHash = f.torrent, f.manifest, f.infoHash
	r.PayloadBytes, r.UnpackedBytes = m.Size(), m.Unpacked
	notes, err := ofPayload(ctx, tree.At(image.Path))
	r.Warnings = append(r.Warnings, notes...)
	return err
}

// named are the files that name a payload.
type named struct{ manifest, torrent, infoHash string }

// store stores a manifest and its torrent.
func (p *Packer) store(m *release.Manifest) (f named, err error) {
	data, hash, err := release.Torrent(m, p.Payload)
	if err != nil {
		return f, err
	}
	torrent, _, err := p.Files.Add(write(data))
	if err != nil {
		return f, fmt.Errorf("store torrent: %w", err)
	}
	if data, err = m.Encode(); err != nil {
		return f, err
	}
	manifest, _, err := p.Files.Add(write(data))
	if err != nil {
		return f, fmt.Errorf("store manifest: %w", err)
	}
	return named{manifest.String(), torrent.String(), hash.HexString()}, nil
}

// pieceLength is that of a manifest; 0 when it cannot be read any more.
func (p *Packer) pieceLength(manifest string) int64 {
	if manifest == "" {
		return 0
	}
	data, err := os.ReadFile(p.Files.Path(release.Digest(manifest)))
	if err != nil {
		return 0
	}
	m, err := release.ParseManifest(data)
	if err != nil {
		return 0
	}
	return m.PieceLength
}

func write(data []byte) func(io.Writer) error {
	return func(w io.Writer) error { _, err := w.Write(data); return err }
}
