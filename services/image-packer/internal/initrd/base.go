package initrd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// loaded are libraries that no program names in its header: glibc loads them by itself.
var loaded = []string{"libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2", "libgcc_s.so.1"}

// configs are files that tools read, of all distributions: certificates, TLS settings, file system defaults.
var configs = []string{
	"etc/ssl/certs/ca-certificates.crt", "etc/pki/tls/certs/ca-bundle.crt", "etc/pki/tls/cert.pem",
	"etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "etc/ssl/ca-bundle.pem", "etc/ssl/cert.pem",
	"var/lib/ca-certificates/ca-bundle.pem",
	"etc/ssl/openssl.cnf", "usr/lib/ssl/openssl.cnf", "usr/lib/ssl/certs", "etc/pki/tls/openssl.cnf", "etc/pki/tls/fips_local.cnf",
	"etc/crypto-policies/config", "etc/crypto-policies/state/current",
	"etc/mke2fs.conf", "etc/lvm/lvm.conf", "etc/protocols", "etc/services", "etc/localtime", "etc/vconsole.conf", "etc/netconfig",
	"usr/lib64/ossl-modules/fips.so",
}

// configDirs are directories of which all files are taken.
var configDirs = []string{"etc/crypto-policies/back-ends", "usr/lib/locale/C.utf8", "usr/lib/locale/C.UTF-8"}

// terminals are the terminfo entries that consoles and ssh sessions name.
var terminals = []string{"ansi", "dumb", "linux", "screen", "screen-256color", "tmux", "tmux-256color", "vt100", "vt102", "vt220", "xterm", "xterm-256color"}

// base makes what every root file system has.
func (b *builder) base(context.Context) error {
	for name, mode := range map[string]fs.FileMode{
		"proc": 0o555, "sys": 0o555, "dev": 0o755, "run": 0o755, "tmp": fs.ModeSticky | 0o777, "sysroot": 0o755, "mnt": 0o755,
		"root": 0o700, "root/.ssh": 0o700, "etc": 0o755, "var/tmp": fs.ModeSticky | 0o777, "var/log": 0o755, "var/empty": 0o755, "usr/share": 0o755,
	} {
		if err := b.Mkdir(name, mode); err != nil {
			return err
		}
	}
	if err := b.optional(append([]string{"var/run"}, configs...)...); err != nil {
		return err
	}
	for _, dir := range configDirs {
		names, err := b.image.Glob(dir, "*")
		if err != nil {
			return err
		}
		for _, n := range names {
			if b.image.IsDir(n) {
				err = b.AddTree(n)
			} else {
				err = b.optional(n)
			}
			if err != nil {
				return err
			}
		}
	}
	for _, t := range terminals {
		for _, dir := range []string{"lib/terminfo", "usr/lib/terminfo", "usr/share/terminfo", "etc/terminfo"} {
			if err := b.optional(path.Join(dir, t[:1], t)); err != nil {
				return err
			}
		}
	}
	if err := b.libraries(); err != nil {
		return err
	}
	// By these a machine in FIPS mode checks its libraries before it uses them.
	if err := b.glob("usr/lib64", ".*.hmac", nil); err != nil {
		return err
	}
	return b.etc()
}

// optional takes the files that the image has.
func (b *builder) optional(names ...string) error {
	for _, name := range names {
		if err := b.Add(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (b *builder) libraries() error {
	if b.shell == "" {
		return nil
	}
	for _, soname := range loaded {
		lib, err := b.Libraries().Find(soname, b.shell)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := b.Add(lib); err != nil {
			return err
		}
	}
	return nil
}

const profile = `# Luna's initrd
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
export LANG=C.UTF-8
[ -n "$PS1" ] && PS1='[luna \h \w]\$ '
`

const sshdConfig = `# Luna's initrd: keys only, no PAM
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile /root/.ssh/authorized_keys
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
UseDNS no
Subsystem sftp internal-sftp
`

// etc writes the files of /etc that must not be the image's: no password, no host key, no PAM.
func (b *builder) etc() error {
	// mkfs looks there whether a disk is in use.
	if err := b.Symlink("../proc/self/mounts", "etc/mtab"); err != nil {
		return err
	}
	passwd, err := b.accounts("etc/passwd", 7, "root:x:0:0:root:/root:/bin/bash\n")
	if err != nil {
		return err
	}
	group, err := b.accounts("etc/group", 4, "root:x:0:\n")
	if err != nil {
		return err
	}
	keys, err := b.image.ReadFile("root/.ssh/authorized_keys")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("root's authorized_keys: %w", err)
	}
	for _, f := range []struct {
		name, content string
		mode          fs.FileMode
	}{
		{"etc/passwd", passwd, 0o644},
		{"etc/group", group, 0o644},
		{"etc/shadow", "root:*:::::::\n", 0o600},
		{"etc/shells", "/bin/bash\n/bin/sh\n", 0o644},
		{"etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n", 0o644},
		{"etc/hosts", "127.0.0.1 localhost\n::1 localhost\n", 0o644},
		{"etc/resolv.conf", "", 0o644},
		{"etc/initrd-release", "ID=luna\nNAME=Luna\n", 0o644},
		{"etc/profile", profile, 0o644},
		{"etc/ssh/sshd_config", sshdConfig, 0o600},
		{"root/.ssh/authorized_keys", string(keys), 0o600},
	} {
		if err := b.Write(f.name, []byte(f.content), f.mode); err != nil {
			return err
		}
	}
	return nil
}

// accounts returns the system's own users or groups of a file with that many fields a line, the password field blanked.
func (b *builder) accounts(name string, fields int, none string) (string, error) {
	const firstPerson = 1000
	data, err := b.image.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return none, nil
	}
	if err != nil {
		return "", err
	}
	var kept bytes.Buffer
	for line := range strings.Lines(string(data)) {
		part := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(part) != fields {
			continue
		}
		if id, err := strconv.Atoi(part[2]); err != nil || id >= firstPerson && !slices.Contains([]string{"nobody", "nogroup"}, part[0]) {
			continue
		}
		part[1] = "x"
		kept.WriteString(strings.Join(part, ":") + "\n")
	}
	if kept.Len() == 0 {
		return none, nil
	}
	return kept.String(), nil
}
