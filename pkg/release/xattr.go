package release

import (
	"archive/tar"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// xfsACL begins the names by which XFS tells its access lists a second time, beside system.posix_acl_*. Elsewhere they
// would be attributes that mean nothing.
const xfsACL = "trusted.SGI_ACL_"

// readXattrs returns all extended attributes that list names, or nil when there are none or the file system has none.
func readXattrs(list func([]byte) (int, error), get func(string, []byte) (int, error)) (map[string][]byte, error) {
	names, err := sized(list)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list extended attributes: %w", err)
	}
	var attrs map[string][]byte
	for name := range strings.SplitSeq(string(names), "\x00") {
		if name == "" || strings.HasPrefix(name, xfsACL) {
			continue
		}
		value, err := sized(func(b []byte) (int, error) { return get(name, b) })
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		if attrs == nil {
			attrs = make(map[string][]byte)
		}
		attrs[name] = value
	}
	return attrs, nil
}

// sized calls f with nothing to learn the size, then with a buffer of that size.
func sized(f func([]byte) (int, error)) ([]byte, error) {
	n, err := f(nil)
	if err != nil || n == 0 {
		return []byte{}, err
	}
	buf := make([]byte, n)
	if n, err = f(buf); err != nil {
		return nil, err
	}
	return buf[:n], nil
}

func addXattrs(hdr *tar.Header, list func([]byte) (int, error), get func(string, []byte) (int, error)) error {
	attrs, err := readXattrs(list, get)
	setPAXXattrs(hdr, attrs)
	return err
}

func setPAXXattrs(hdr *tar.Header, attrs map[string][]byte) {
	if len(attrs) == 0 {
		return
	}
	hdr.PAXRecords = make(map[string]string, len(attrs))
	for name, value := range attrs {
		hdr.PAXRecords[paxXattr+xattrKeyword.Replace(name)] = string(value)
	}
}
