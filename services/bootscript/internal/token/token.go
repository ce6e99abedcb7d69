// Package token makes and checks the words by which a node proves its boot.
package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Lifetime is how long a token is good for.
const Lifetime = 30 * time.Minute

// ErrRefused is returned for every token that is not good, whatever the reason.
var ErrRefused = errors.New("the token is not good")

// Claims is what a token proves.
type Claims struct {
	NodeID, MAC, BootID string
	Expires             time.Time
}

// Mint returns the token of claims: boot id, expiry and an HMAC-SHA256 over
// all of them. Node and MAC do not stand in it: who checks it knows them.
func Mint(key []byte, c Claims) string {
	return c.BootID + "." + strconv.FormatInt(c.Expires.Unix(), 36) + "." + base64.RawURLEncoding.EncodeToString(sign(key, c))
}

// sign returns the HMAC; each part is preceded by its length, so that no two
// claims have the same bytes.
func sign(key []byte, c Claims) []byte {
	mac := hmac.New(sha256.New, key)
	for _, part := range []string{"luna boot token 1", c.NodeID, strings.ToLower(c.MAC), c.BootID, strconv.FormatInt(c.Expires.Unix(), 10)} {
		fmt.Fprintf(mac, "%d:%s", len(part), part)
	}
	return mac.Sum(nil)
}

// Check returns the claims of a token that node nodeID with a MAC shows now;
// ErrRefused when it is not that node's, too old, or made more than Fresh from now.
func Check(key []byte, word, nodeID, mac string, now time.Time) (Claims, error) {
	parts := strings.Split(word, ".")
	if len(parts) != 3 {
		return Claims{}, ErrRefused
	}
	seconds, err := strconv.ParseInt(parts[1], 36, 64)
	if err != nil {
		return Claims{}, ErrRefused
	}
	sum, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return Claims{}, ErrRefused
	}
	c := Claims{NodeID: nodeID, MAC: mac, BootID: parts[0], Expires: time.Unix(seconds, 0)}
	// One that is good for longer was made by a clock that was ahead: it would outlive its boot.
	if !hmac.Equal(sum, sign(key, c)) || !now.Before(c.Expires) || c.Expires.After(now.Add(Lifetime+Fresh)) {
		return Claims{}, ErrRefused
	}
	return c, nil
}
