package inventoryv1

import (
	"fmt"
	"strings"
)

// Where a group's root file system lies. RootAny leaves it to the partscript.
const (
	RootAny     = ""
	RootTmpfs   = "tmpfs"
	RootDisk    = "disk"
	RootOverlay = "overlay"
)

// Roots are all that a group's root can be, apart from RootAny.
var Roots = []string{RootTmpfs, RootDisk, RootOverlay}

// ParseRoot returns the root that a person typed; a dash is RootAny.
func ParseRoot(text string) (string, error) {
	switch text {
	case RootAny, "-":
		return RootAny, nil
	case RootTmpfs, RootDisk, RootOverlay:
		return text, nil
	}
	return "", fmt.Errorf("root %q: it is one of %s, or - to let the partscript decide", text, strings.Join(Roots, ", "))
}
