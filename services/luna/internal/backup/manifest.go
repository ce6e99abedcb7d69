// Package backup copies what a head cannot rebuild into one file, and back.
package backup

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/release"
)

// Format is the version of the backup file that this program writes and reads.
const Format = 1

// manifestName is the first entry of the tar.
const manifestName = "manifest.json"

// maxManifest is the largest manifest that is read, in bytes.
const maxManifest = 64 << 20

// Manifest says what a backup holds. It is the first entry of the file.
type Manifest struct {
	Format int `json:"format"`
	// ID is the backup's own, a ULID.
	ID   string    `json:"id"`
	Time time.Time `json:"time"`
	// Head is where it was made.
	Head string `json:"head"`
	// Luna is the version of the program that made it.
	Luna string `json:"luna"`
	// Images says whether payload segments are in it.
	Images bool `json:"images"`
	// Without lists the services whose outboxes were left out.
	Without []string `json:"without,omitempty"`
	// Streams in the order in which they were copied.
	Streams []Stream `json:"streams"`
	// Parts are all further entries of the tar, in their order.
	Parts []Part `json:"parts"`
}

// Stream is one stream of the bus; its parts are streams/NAME.json and streams/NAME.snapshot.
type Stream struct {
	Name     string `json:"name"`
	LastSeq  uint64 `json:"last_seq"`
	Messages uint64 `json:"messages"`
}

// Part is one file of the backup.
type Part struct {
	// Name begins with etc/, data/ or streams/.
	Name   string         `json:"name"`
	Size   int64          `json:"size"`
	Digest release.Digest `json:"digest"`
	// Mode holds the permission bits.
	Mode uint32 `json:"mode,omitempty"`
	// Entries counts what waits in an outbox.
	Entries int64 `json:"entries,omitempty"`
	// Images marks what is restored with payload segments only.
	Images bool `json:"images,omitempty"`

	// source is the file to read when it does not lie in the staging folder.
	source string
}

// placeable are the files of a head that a backup may hold, below etc or data.
var placeable = regexp.MustCompile(`^(etc/[^/]+\.yaml|etc/operator\.creds|(etc|data)/secret\.key|(etc|data)/keys/[^/]+|` +
	`data/[a-z-]+/outbox\.db|data/image-packer/files/[0-9a-f]{64}|data/payload/[0-9a-f]{64})$`)

func (p Part) isOutbox() bool { return path.Base(p.Name) == "outbox.db" }

func (p Part) isStream() bool { return strings.HasPrefix(p.Name, "streams/") }

// isKey says that only its owner may read it.
func (p Part) isKey() bool {
	return !strings.HasSuffix(p.Name, ".yaml") && !p.Images && !strings.HasPrefix(p.Name, "data/image-packer/files/")
}

// snapshotPart and configPart name the parts of a stream.
func snapshotPart(stream string) string { return "streams/" + stream + ".snapshot" }
func configPart(stream string) string   { return "streams/" + stream + ".json" }

func (m *Manifest) encode() ([]byte, error) { return json.MarshalIndent(m, "", "  ") }

// parseManifest refuses everything that a restore could not act on safely.
func parseManifest(data []byte) (*Manifest, error) {
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return nil, fault.Invalidf("its manifest is no JSON: %w", err)
	}
	if version.Format != Format {
		return nil, fault.Invalidf("its format is %d, this program reads %d; use the luna that made it", version.Format, Format)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	m := &Manifest{}
	if err := dec.Decode(m); err != nil {
		return nil, fault.Invalidf("its manifest cannot be read: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fault.Invalidf("its manifest is followed by other text")
	}
	return m, m.validate()
}

func (m *Manifest) validate() error {
	names := map[string]bool{}
	for _, p := range m.Parts {
		switch {
		case !filepath.IsLocal(p.Name) || path.Clean(p.Name) != p.Name:
			return fault.Invalidf("part %q is no path inside a backup", p.Name)
		case !p.isStream() && !placeable.MatchString(p.Name):
			return fault.Invalidf("part %q is no file that a head has", p.Name)
		case names[p.Name]:
			return fault.Invalidf("part %q is there twice", p.Name)
		case p.Size < 0 || p.Mode&^0o777 != 0:
			return fault.Invalidf("part %q has the size %d and the mode %#o", p.Name, p.Size, p.Mode)
		}
		names[p.Name] = true
	}
	known := map[string]bool{}
	for _, s := range m.Streams {
		if known[s.Name] || !names[snapshotPart(s.Name)] || !names[configPart(s.Name)] {
			return fault.Invalidf("stream %q is there twice, or its parts are missing", s.Name)
		}
		known[s.Name] = true
	}
	if m.ID == "" || len(m.Streams) == 0 {
		return fault.Invalidf("its manifest names no backup or no stream")
	}
	return nil
}
