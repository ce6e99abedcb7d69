package release

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

const digestPrefix = "sha256:"

// Digest names content by its SHA-256, written "sha256:" and 64 lower-case hex digits.
// The zero value names nothing.
type Digest string

// ParseDigest returns s as a Digest, or an error that quotes s when it is not one.
func ParseDigest(s string) (Digest, error) {
	rest, ok := strings.CutPrefix(s, digestPrefix)
	if !ok || len(rest) != hex.EncodedLen(sha256.Size) || strings.Trim(rest, "0123456789abcdef") != "" {
		return "", fmt.Errorf("digest %q is not sha256: and 64 lower-case hex digits", s)
	}
	return Digest(s), nil
}

// DigestOf returns the digest of data.
func DigestOf(data []byte) Digest {
	sum := sha256.Sum256(data)
	return Digest(digestPrefix + hex.EncodeToString(sum[:]))
}

// DigestSum returns the digest of what was written to h, which must be a SHA-256.
func DigestSum(h hash.Hash) Digest {
	return Digest(digestPrefix + hex.EncodeToString(h.Sum(nil)))
}

// Hex returns the 64 hex digits, the name under which the content is stored.
func (d Digest) Hex() string { return strings.TrimPrefix(string(d), digestPrefix) }

// String returns the digest as it is written everywhere.
func (d Digest) String() string { return string(d) }

// UnmarshalText refuses what ParseDigest refuses.
func (d *Digest) UnmarshalText(text []byte) error {
	parsed, err := ParseDigest(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}
