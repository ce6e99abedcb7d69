package erofs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const xattrHeader = 12

// xattrPrefixes are the beginnings of names that stand as a number. Those of ACLs are whole names.
var xattrPrefixes = []struct {
	text  string
	index byte
}{
	{"user.", 1}, {"system.posix_acl_access", 2}, {"system.posix_acl_default", 3}, {"trusted.", 4}, {"security.", 6},
}

// encodeXattrs returns what stands behind an inode, nothing when there are no attributes.
func encodeXattrs(attrs map[string][]byte) ([]byte, error) {
	if len(attrs) == 0 {
		return nil, nil
	}
	b := make([]byte, xattrHeader)
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		index, rest, err := splitXattr(name)
		if err != nil {
			return nil, err
		}
		value := attrs[name]
		if len(rest) > 255 || len(value) > 65535 {
			return nil, fmt.Errorf("the attribute %s is too long", name)
		}
		b = append(b, byte(len(rest)), index)
		b = le.AppendUint16(b, uint16(len(value)))
		b = append(append(b, rest...), value...)
		b = append(b, make([]byte, up(int64(len(b)), 4)-int64(len(b)))...)
	}
	if (len(b)-xattrHeader)/4+1 > 65535 {
		return nil, fmt.Errorf("attributes of %d bytes are too many", len(b))
	}
	return b, nil
}

func splitXattr(name string) (index byte, rest string, err error) {
	for _, p := range xattrPrefixes {
		rest, ok := strings.CutPrefix(name, p.text)
		if ok && (rest == "" != strings.HasSuffix(p.text, ".")) {
			return p.index, rest, nil
		}
	}
	return 0, "", fmt.Errorf("EROFS has no attribute %s", name)
}
