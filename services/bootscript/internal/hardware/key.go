package hardware

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/luna-hpc/luna/pkg/fault"
)

var keyType = regexp.MustCompile(`^(ssh|ecdsa|sk)-[a-z0-9@.-]{1,60}$`)

// maxKey is more than an RSA key of 16384 bits has, in bytes of its text.
const maxKey = 4 << 10

// hostKeys checks public keys as they stand in .pub files (sshd(8),
// authorized_keys without options), drops their comments and puts them in order.
func hostKeys(lines []string) ([]string, error) {
	if len(lines) > maxKeys {
		return nil, fault.Invalidf("the report has more than %d host keys", maxKeys)
	}
	var keys []string
	for _, line := range lines {
		key, err := hostKey(line)
		if err != nil {
			return nil, fault.Invalidf("a host key in the report is none: %w", err)
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// hostKey returns the type and the key of a line. The key repeats its type
// (RFC 4253, section 6.6).
func hostKey(line string) (string, error) {
	words := strings.Fields(line)
	if len(line) > maxKey || len(words) < 2 {
		return "", fmt.Errorf("it has %d words and %d bytes", len(words), len(line))
	}
	if !keyType.MatchString(words[0]) || strings.Contains(words[0], "-cert-") {
		return "", fmt.Errorf("%.40q is no type of a key", words[0])
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(words[1])
	if err != nil {
		return "", fmt.Errorf("it is not base64: %w", err)
	}
	size := uint32(len(words[0]))
	if len(blob) < int(4+size)+4 || binary.BigEndian.Uint32(blob) != size || string(blob[4:4+size]) != words[0] {
		return "", fmt.Errorf("it is not of type %s inside", words[0])
	}
	return words[0] + " " + words[1], nil
}

// KnownHosts returns the lines of a known_hosts file (sshd(8)) for a host by
// its names and addresses.
func KnownHosts(hosts, keys []string) []string {
	lines := make([]string, len(keys))
	for i, key := range keys {
		lines[i] = strings.Join(hosts, ",") + " " + key
	}
	return lines
}
