package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/jsm.go"

	"github.com/luna-hpc/luna/pkg/broker"
	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/wire"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
)

// Places are the folders of a head.
type Places struct {
	// Data is the head's data directory, Etc its configuration directory.
	Data, Etc string
}

// SetupKey returns the key file of the user that may copy streams.
func (p Places) SetupKey() (string, error) {
	dirs := []string{filepath.Join(p.Etc, "keys"), filepath.Join(p.Data, "keys")}
	for _, dir := range dirs {
		_, err := os.Stat(broker.KeyFile(dir, "setup"))
		if err == nil {
			return broker.KeyFile(dir, "setup"), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", fault.Unavailablef("the key of the bus user setup: %w", err)
		}
	}
	return "", fault.NotFoundf("the key setup.nk is neither in %s nor in %s; say --etc or --data", dirs[0], dirs[1])
}

// Backup says what to copy, and with whose rights.
type Backup struct {
	Places
	// File gets the backup; an older one is replaced once this one is whole.
	File string
	// Head is this head's name.
	Head string
	// Images takes the payload segments of current releases too.
	Images bool
	// Without lists services whose outboxes are left out.
	Without []string
	// Setup and Operator are connections of these users.
	Setup, Operator *bus.Conn
	// Timeout is how long a service may take to answer.
	Timeout time.Duration
	// Note tells the user of something that is no error.
	Note func(string)
}

// Run makes the backup.
func (b *Backup) Run(ctx context.Context) (*Manifest, error) {
	for _, w := range b.Without {
		if !slices.Contains(Services, w) {
			return nil, fault.Invalidf("--without %s: only %v have outboxes", w, Services)
		}
	}
	staging, err := os.MkdirTemp(filepath.Dir(b.File), ".luna-backup-")
	if err != nil {
		return nil, fmt.Errorf("make a folder to collect the backup: %w", err)
	}
	defer os.RemoveAll(staging)
	m := &Manifest{Format: Format, ID: bus.NewID(), Time: time.Now().UTC(), Head: b.Head, Luna: bus.Version, Images: b.Images, Without: b.Without}
	if err := b.collect(ctx, staging, m); err != nil {
		return nil, err
	}
	return m, write(b.File, staging, m)
}

// collect fills the staging folder and the manifest. Outboxes come first: what
// leaves one after its copy is in the copy of its stream.
func (b *Backup) collect(ctx context.Context, staging string, m *Manifest) error {
	files, err := b.stageFiles(staging)
	if err != nil {
		return err
	}
	boxes, err := b.copyOutboxes(ctx, staging)
	if err != nil {
		return err
	}
	releases, err := b.copyStreams(ctx, staging, m, boxes)
	if err != nil {
		return err
	}
	c := &collector{data: b.Data, names: map[string]bool{}}
	counts := map[string]int64{}
	for _, box := range boxes {
		kept, err := box.prune(staging)
		if err != nil {
			return err
		}
		files = append(files, outboxPart(box.service))
		counts[outboxPart(box.service)] = int64(len(kept))
		if err := c.pending(kept); err != nil {
			return err
		}
	}
	for _, s := range m.Streams {
		files = append(files, configPart(s.Name), snapshotPart(s.Name))
	}
	if b.Images {
		if err := b.images(ctx, c, releases); err != nil {
			return err
		}
	}
	for _, name := range files {
		p, err := staged(staging, name)
		if err != nil {
			return err
		}
		p.Entries = counts[name]
		m.Parts = append(m.Parts, p)
	}
	m.Parts = append(m.Parts, c.parts...)
	return m.validate()
}

func staged(dir, name string) (Part, error) {
	file := filepath.Join(dir, name)
	info, err := os.Stat(file)
	if err != nil {
		return Part{}, err
	}
	d, size, err := digestFile(file)
	return Part{Name: name, Size: size, Digest: d, Mode: uint32(info.Mode().Perm())}, err
}

// stageFiles copies keys and configuration and returns their parts' names.
func (b *Backup) stageFiles(staging string) ([]string, error) {
	var names []string
	for _, pattern := range []string{"etc/secret.key", "data/secret.key", "etc/*.yaml", "etc/operator.creds", "etc/keys/*", "data/keys/*"} {
		found, err := filepath.Glob(b.path(pattern))
		if err != nil {
			return nil, err
		}
		for _, file := range found {
			name := filepath.ToSlash(filepath.Join(filepath.Dir(pattern), filepath.Base(file)))
			if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() {
				b.Note(file + " is no file and left out")
				continue
			}
			if err := stageFile(staging, name, file); err != nil {
				return nil, err
			}
			names = append(names, name)
		}
	}
	if !slices.Contains(names, "etc/secret.key") && !slices.Contains(names, "data/secret.key") {
		return nil, fault.NotFoundf("the key of the secrets, secret.key, is neither in %s nor in %s; say --etc or --data", b.Etc, b.Data)
	}
	return names, nil
}

// path returns where the file of a part lies on the head.
func (p Places) path(name string) string {
	if rest, ok := cutDir(name, "etc"); ok {
		return filepath.Join(p.Etc, rest)
	}
	rest, _ := cutDir(name, "data")
	return filepath.Join(p.Data, rest)
}

func cutDir(name, dir string) (string, bool) {
	rest, err := filepath.Rel(dir, name)
	return rest, err == nil && filepath.IsLocal(rest)
}

func stageFile(staging, name, file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	to := filepath.Join(staging, name)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		return err
	}
	return os.Chmod(to, info.Mode().Perm())
}

// copyStreams copies all streams and returns the releases that the copies hold.
func (b *Backup) copyStreams(ctx context.Context, staging string, m *Manifest, boxes []*copied) ([]*imagepackerv1.Releases, error) {
	names, err := streamNames(ctx, b.Setup.JS)
	if err != nil {
		return nil, err
	}
	man, err := manager(b.Setup)
	if err != nil {
		return nil, err
	}
	c := &copier{man: man, dir: staging, boxes: boxes, states: map[string]Stream{}, releases: map[string]*imagepackerv1.Releases{}}
	for _, name := range names {
		if err := c.copy(ctx, name); err != nil {
			return nil, err
		}
	}
	if err := c.settle(ctx, b.Setup); err != nil {
		return nil, err
	}
	for _, name := range names {
		m.Streams = append(m.Streams, c.states[name])
	}
	all := make([]*imagepackerv1.Releases, 0, len(c.releases))
	for _, r := range c.releases {
		all = append(all, r)
	}
	slices.SortFunc(all, func(x, y *imagepackerv1.Releases) int { return strings.Compare(x.OsimageId, y.OsimageId) })
	return all, nil
}

// copier copies streams and reads the copies.
type copier struct {
	man      *jsm.Manager
	dir      string
	boxes    []*copied
	states   map[string]Stream
	releases map[string]*imagepackerv1.Releases
}

// tries bounds how often something is copied again that moved meanwhile.
const tries = 5

// copy copies a stream, again when the copy ends inside a change of several messages.
func (c *copier) copy(ctx context.Context, name string) error {
	for range tries {
		if err := snapshot(ctx, c.man, c.dir, name); err != nil {
			return err
		}
		found, err := scan(c.dir, name, c.wanted, c.see)
		if err != nil {
			return err
		}
		if !found.cut {
			c.states[name] = Stream{Name: name, LastSeq: found.LastSeq, Messages: found.Msgs}
			return nil
		}
	}
	return fault.Conflictf("stream %s changed whenever it was copied; try again", name)
}

func (c *copier) wanted(s string) bool {
	_, ok := subject.ParseRelease(s)
	return ok || slices.ContainsFunc(c.boxes, func(box *copied) bool { return len(box.entries[s]) > 0 })
}

func (c *copier) see(m message) {
	for _, box := range c.boxes {
		box.note(m)
	}
	if id, ok := subject.ParseRelease(m.subject); ok {
		c.release(id, m.data)
	}
}

func (c *copier) release(osimageID string, data []byte) {
	r := &imagepackerv1.Releases{}
	if len(data) == 0 || wire.Event(data, r) != nil {
		delete(c.releases, osimageID) // as image-packer does
		return
	}
	c.releases[osimageID] = r
}

// settle copies releases and their files again while a release was published
// meanwhile: image-packer may have taken away files that the copied list names.
func (c *copier) settle(ctx context.Context, conn *bus.Conn) error {
	for range tries {
		s, err := conn.JS.Stream(ctx, subject.Images)
		if err != nil {
			return fault.Unavailablef("stream %s: %w", subject.Images, err)
		}
		if s.CachedInfo().State.LastSeq == c.states[subject.Images].LastSeq {
			return nil
		}
		for _, name := range []string{subject.Images, filesStream} {
			if err := c.copy(ctx, name); err != nil {
				return err
			}
		}
	}
	return fault.Conflictf("releases were published whenever they were copied; try again when no image is packed")
}
