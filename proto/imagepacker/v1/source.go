package imagepackerv1

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Source says where an image of containers is saved, in the words of containers-transports(5).
type Source struct {
	// Transport is docker-archive, oci or oci-archive.
	Transport string
	// Path is the file, or the directory for oci.
	Path string
	// Tag names one image of several; @N is the one at place N, from 0. Empty for the only one.
	Tag string
}

// Transports are those that a Source may have.
var Transports = []string{"docker-archive", "oci", "oci-archive"}

// ParseSource reads TRANSPORT:PATH[:TAG].
func ParseSource(s string) (Source, error) {
	transport, rest, found := strings.Cut(s, ":")
	if !found || !slices.Contains(Transports, transport) {
		return Source{}, fmt.Errorf("source %q: want docker-archive:FILE[:TAG], oci:DIRECTORY[:TAG] or oci-archive:FILE[:TAG]", s)
	}
	path, tag, tagged := strings.Cut(rest, ":")
	if path == "" || tagged && tag == "" {
		return Source{}, fmt.Errorf("source %q: want a path after %s:, and a tag if there is another colon", s, transport)
	}
	return Source{transport, path, tag}, nil
}

// Absolute returns the source with the path from /, as seen from the current directory.
func (s Source) Absolute() (_ Source, err error) {
	s.Path, err = filepath.Abs(s.Path)
	return s, err
}

// String returns what ParseSource reads.
func (s Source) String() string {
	if s.Tag == "" {
		return s.Transport + ":" + s.Path
	}
	return s.Transport + ":" + s.Path + ":" + s.Tag
}
