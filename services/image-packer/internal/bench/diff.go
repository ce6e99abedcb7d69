package bench

import (
	"context"
	"fmt"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/release"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
)

// maxDifferences is how many are listed; a reply must stay below a megabyte.
const maxDifferences = 4000

// diff tells what two releases do not hold alike.
func (b *Bench) diff(ctx context.Context, _ bus.Call, req *imagepackerv1.DiffRequest) (*imagepackerv1.DiffReply, error) {
	old, now, err := b.pair(req)
	if err != nil {
		return nil, err
	}
	all, err := release.Compare(ctx, b.Packer.Payload, old.manifest, now.manifest)
	if err != nil {
		return nil, fmt.Errorf("compare releases: %w", err)
	}
	rep := &imagepackerv1.DiffReply{Old: old.Manifest, New: now.Manifest}
	size := 0
	for _, d := range all {
		x := difference(d)
		switch x.Kind {
		case "added":
			rep.Added++
		case "removed":
			rep.Removed++
		default:
			rep.Changed++
		}
		rep.Bytes += d.Bytes
		if size += len(x.Name); len(rep.Differences) == maxDifferences || size > 400<<10 {
			rep.LeftOut++
			continue
		}
		rep.Differences = append(rep.Differences, x)
	}
	return rep, nil
}

func difference(d release.Difference) *imagepackerv1.Difference {
	x := &imagepackerv1.Difference{Name: legible(d.Name), Kind: "changed", Aspects: d.Aspects, Bytes: d.Bytes}
	switch {
	case !d.Old:
		x.Kind = "added"
	case !d.New:
		x.Kind = "removed"
	}
	return x
}

// legible writes what a terminal cannot show as \xNN, byte by byte.
func legible(name string) string {
	var b strings.Builder
	for len(name) > 0 {
		r, n := utf8.DecodeRuneInString(name)
		if r == utf8.RuneError && n == 1 || !unicode.IsPrint(r) {
			for _, c := range []byte(name[:n]) {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		} else {
			b.WriteString(name[:n])
		}
		name = name[n:]
	}
	return b.String()
}

// kept is a release with its manifest.
type kept struct {
	*imagepackerv1.Release
	manifest *release.Manifest
}

// pair finds the two releases that a request names.
func (b *Bench) pair(req *imagepackerv1.DiffRequest) (old, now kept, err error) {
	newName, which := req.NewName, choose
	if newName == "" {
		newName = req.Name
	}
	if req.Release == "" && (req.NewName != "" || req.NewRelease != "") {
		which = orCurrent
	}
	if old, err = b.kept(req.Name, req.Release, which); err != nil {
		return old, now, err
	}
	now, err = b.kept(newName, req.NewRelease, orCurrent)
	return old, now, err
}

// orCurrent is choose, but for "" the current release.
func orCurrent(rs *imagepackerv1.Releases, name, digits string) (*imagepackerv1.Release, error) {
	if r := current(rs); digits == "" && r != nil {
		return r, nil
	}
	return choose(rs, name, digits)
}

// kept finds an image's release and reads its manifest.
func (b *Bench) kept(name, digits string, which func(*imagepackerv1.Releases, string, string) (*imagepackerv1.Release, error)) (kept, error) {
	image, err := b.find(name)
	if err != nil {
		return kept{}, err
	}
	if image.Head != b.Packer.Head {
		return kept{}, fault.Unavailablef("not done: osimage %s is packed on head %s, this is %s", name, image.Head, b.Packer.Head)
	}
	rs, err := b.Shelf.Of(image.Id)
	if err != nil {
		return kept{}, err
	}
	r, err := which(rs, name, digits)
	if err != nil {
		return kept{}, err
	}
	m, err := b.readManifest(r)
	return kept{r, m}, err
}

func (b *Bench) readManifest(r *imagepackerv1.Release) (*release.Manifest, error) {
	data, err := os.ReadFile(b.Packer.Files.Path(release.Digest(r.Manifest)))
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	return release.ParseManifest(data)
}
