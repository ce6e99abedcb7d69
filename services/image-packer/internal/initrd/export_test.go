package initrd

import (
	"time"

	"github.com/luna-hpc/luna/services/image-packer/internal/tree"
)

// BuiltAt returns the report of a build at another time.
func (r *Report) BuiltAt(when time.Time) *Report {
	other := *r
	other.started = when
	return &other
}

// FirmwareFiles returns what an initrd for a kernel version takes for a name.
func FirmwareFiles(root, version, name string) ([]string, error) {
	return (&builder{image: tree.At(root), version: version}).firmwareFiles(name)
}
