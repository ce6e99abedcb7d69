// Package shelf keeps the files of releases on this head's own disk.
package shelf

import (
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/release"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
)

// Shelf is a folder of files named by the hex of their digest. A file is there
// whole and checked, or not at all.
type Shelf struct {
	dir   string
	state *projection.State
	store Store
	log   *slog.Logger
	// known is what was decoded before; nobody changes it.
	known projection.Decoded[*imagepackerv1.Releases]

	mu      sync.RWMutex
	have    map[string]bool
	waiting int
	failed  error
	changed func(waiting int)
}

// Open opens or makes the folder. waiting is called with the number of files
// that are still to be fetched, whenever it was counted.
func Open(dir string, state *projection.State, store Store, log *slog.Logger, waiting func(int)) (*Shelf, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of released files: %w", err)
	}
	s := &Shelf{dir: dir, state: state, store: store, log: log, have: map[string]bool{}, changed: waiting}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list released files: %w", err)
	}
	for _, e := range entries {
		if isName(e.Name()) {
			s.have[e.Name()] = true
		}
	}
	return s, nil
}

// isName tells whether a file name is a digest's hex.
func isName(name string) bool {
	_, err := hex.DecodeString(name)
	return err == nil && len(name) == 64 && strings.ToLower(name) == name
}

// File returns an open file by its digest's hex; os.ErrNotExist when it is not here.
func (s *Shelf) File(name string) (*os.File, error) {
	if !isName(name) || !s.has(name) {
		return nil, os.ErrNotExist
	}
	return os.Open(filepath.Join(s.dir, name))
}

func (s *Shelf) has(name string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.have[name]
}

// files returns the names of a release's files.
func files(r *imagepackerv1.Release) []string {
	var names []string
	for _, d := range r.Digests() {
		if digest, err := release.ParseDigest(d); err == nil && !slices.Contains(names, digest.Hex()) {
			names = append(names, digest.Hex())
		}
	}
	return names
}

// missing counts the files of a release that are not here; a release that does
// not name all of them is never whole.
func (s *Shelf) missing(r *imagepackerv1.Release) int {
	n := 0
	for _, d := range r.Digests() {
		if digest, err := release.ParseDigest(d); err != nil || !s.has(digest.Hex()) {
			n++
		}
	}
	return n
}

// Current returns the release of an osimage that nodes boot: the current one
// when all its files are here, else the newest before it that is whole. For
// nodes that need the compressed image, and when the current one has it, only
// those count that have it too. When there is none, the reason is a sentence.
func (s *Shelf) Current(tx *projection.Tx, osimageID string, overlay bool) (r *imagepackerv1.Release, reason string, err error) {
	all, err := s.releases(tx, osimageID)
	if err != nil {
		return nil, "", err
	}
	if len(all.GetReleases()) == 0 {
		return nil, "it was not packed yet", nil
	}
	at := slices.IndexFunc(all.Releases, func(r *imagepackerv1.Release) bool { return r.Manifest == all.Current })
	if at < 0 {
		return nil, "none of its releases is the current one", nil
	}
	newest := all.Releases[at]
	for _, r := range slices.Backward(all.Releases[:at+1]) {
		lacks := overlay && newest.Overlay != nil && r.Overlay == nil
		if !lacks && s.missing(r) == 0 {
			return r, "", nil
		}
	}
	return nil, fmt.Sprintf("this head waits for %d of %d files of its release", s.missing(newest), len(newest.Digests())), nil
}

// Release returns a kept release of an osimage by its manifest when it is
// whole; nil when it is not.
func (s *Shelf) Release(tx *projection.Tx, osimageID, manifest string) (*imagepackerv1.Release, error) {
	all, err := s.releases(tx, osimageID)
	if err != nil {
		return nil, err
	}
	for _, r := range all.GetReleases() {
		if r.Manifest == manifest && s.missing(r) == 0 {
			return r, nil
		}
	}
	return nil, nil
}

// WithKernel returns the newest whole release of an osimage with a kernel
// version, the one that nodes boot first; nil when there is none.
func (s *Shelf) WithKernel(tx *projection.Tx, osimageID, kernver string) (*imagepackerv1.Release, error) {
	current, _, err := s.Current(tx, osimageID, false)
	if err != nil || current.GetKernver() == kernver {
		return current, err
	}
	all, err := s.releases(tx, osimageID)
	if err != nil {
		return nil, err
	}
	for _, r := range slices.Backward(all.GetReleases()) {
		if r.Kernver == kernver && s.missing(r) == 0 {
			return r, nil
		}
	}
	return nil, nil
}
