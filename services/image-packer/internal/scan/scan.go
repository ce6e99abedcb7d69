// Package scan finds secrets in a tree that is about to become public.
package scan

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/release"
)

// Finding is a file that holds a secret.
type Finding struct {
	// Path in the tree, without a leading slash.
	Path string
	// Kind is "private key", "munge key", "keytab" or "password hash", with whose it is.
	Kind string
}

// String returns the finding as a line of a report.
func (f Finding) String() string { return f.Kind + " in /" + f.Path }

// A key has content below its first line; the line alone stands in every program that reads keys.
var privateKey = regexp.MustCompile(`-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----\r?\n(?:[A-Za-z0-9+/=]{16,}|[A-Za-z-]+: |\r?\n[A-Za-z0-9+/=]{16,})`)

// HasPrivateKey tells whether data holds a private key in PEM, OpenSSH or OpenPGP armour.
func HasPrivateKey(data []byte) bool {
	return bytes.Contains(data, []byte("PRIVATE KEY")) && privateKey.Match(data)
}

// skipped are directories in which packages keep what is public, or that are not packed.
var skipped = map[string]bool{
	"proc": true, "sys": true, "dev": true, "run": true, "tmp": true, "boot": true,
	"usr/bin": true, "usr/sbin": true, "usr/lib": true, "usr/lib64": true, "usr/libexec": true, "usr/share": true, "usr/include": true,
	"usr/src": true, "bin": true, "sbin": true, "lib": true, "lib64": true,
	"var/cache": true, "var/lib/dpkg": true, "var/lib/apt": true, "var/lib/rpm": true, "var/lib/dnf": true, "var/log": true,
}

// keySize bounds the files that are searched for keys, in bytes.
const keySize = 128 << 10

// Tree returns the secrets in the image below root, in the order of their paths: private keys, munge keys, Kerberos
// keytabs and password hashes. It looks where an administrator puts them (etc, root, home, opt, srv, usr/local, var),
// not into the directories of packages.
func Tree(ctx context.Context, root string) ([]Finding, error) {
	own, err := release.Stat(unix.AT_FDCWD, root+"/.")
	if err != nil {
		return nil, fmt.Errorf("look for secrets: %w", err)
	}
	var found []Finding
	err = filepath.WalkDir(root, func(host string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		name, err := filepath.Rel(root, host)
		if err != nil {
			return err
		}
		if d.IsDir() && (skipped[name] || name != "." && foreign(host, own)) {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() {
			return nil
		}
		kind, err := kindOf(name, host, d)
		if err != nil {
			return err
		}
		if kind != "" {
			found = append(found, Finding{Path: name, Kind: kind})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for secrets: %w", err)
	}
	return found, nil
}

// foreign tells whether a directory is a mount, which is not packed; how it is cannot be seen of one that is gone.
func foreign(host string, own release.State) bool {
	st, err := release.Stat(unix.AT_FDCWD, host)
	return err == nil && (st.Dev != own.Dev || st.Mount != own.Mount)
}

func kindOf(name, host string, d fs.DirEntry) (string, error) {
	info, err := d.Info()
	if err != nil || info.Size() == 0 || info.Size() > keySize {
		return "", err
	}
	base := filepath.Base(name)
	if name == "etc/munge/munge.key" || base == "munge.key" {
		return "munge key", nil
	}
	data, err := os.ReadFile(host)
	if err != nil {
		return "", err
	}
	switch {
	case bytes.HasPrefix(data, []byte{5, 2}) && (strings.HasSuffix(base, ".keytab") || base == "keytab"):
		return "keytab", nil
	case HasPrivateKey(data):
		return "private key", nil
	case filepath.Dir(name) == "etc" && strings.Contains(base, "shadow"), name == "etc/passwd":
		if users := withHash(string(data)); len(users) > 0 {
			return "password hash of " + strings.Join(users, ", "), nil
		}
	}
	return "", nil
}

// withHash returns the users of a shadow file that have a password.
func withHash(shadow string) []string {
	var users []string
	for line := range strings.Lines(shadow) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) > 1 && len(strings.Trim(fields[1], "!*x")) > 12 {
			users = append(users, fields[0])
		}
	}
	return users
}
