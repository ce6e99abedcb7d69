package scan_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/services/image-packer/internal/scan"
)

func TestTree(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	root := t.TempDir()
	for name, content := range map[string]string{
		"etc/ssl/private/server.pem": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n" + private,
		"etc/ssl/certs/ca.pem":       "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
		"etc/munge/munge.key":        "0123456789abcdef",
		"etc/krb5.keytab":            "\x05\x02\x00\x00\x00\x10",
		"etc/shadow":                 "root:$y$j9T$abc$defghijklmnop:19000:0:99999:7:::\ndaemon:*:19000::::::\nada:!$6$lockedbutthere$x:1::::::\nbin:!!:1::::::\n",
		"etc/passwd":                 "root:x:0:0:root:/root:/bin/bash\n",
		"etc/ssh/README":             "keys begin with -----BEGIN OPENSSH PRIVATE KEY-----\nand so on\n",
		"usr/bin/ssh-keygen":         private,
		"home/ada/.ssh/id":           "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n",
		"usr/local/etc/pgp":          "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOYBGXk0hABCADL\n",
	} {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := scan.Tree(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	want := []scan.Finding{
		{Path: "etc/krb5.keytab", Kind: "keytab"},
		{Path: "etc/munge/munge.key", Kind: "munge key"},
		{Path: "etc/shadow", Kind: "password hash of root, ada"},
		{Path: "etc/ssl/private/server.pem", Kind: "private key"},
		{Path: "home/ada/.ssh/id", Kind: "private key"},
		{Path: "usr/local/etc/pgp", Kind: "private key"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// TestMountsAreNotSearched: what is mounted in a tree is not packed.
func TestMountsAreNotSearched(t *testing.T) {
	testenv.Root(t)
	root := t.TempDir()
	testenv.Shell(t, `cd "$1"; mkdir -p home etc/munge srv; echo key >etc/munge/munge.key; mount -t tmpfs luna-test home; mkdir home/ada
mount --bind etc srv; echo key >home/ada/munge.key`, root)
	t.Cleanup(func() { testenv.Shell(t, `umount "$1/home" "$1/srv"`, root) })
	got, err := scan.Tree(t.Context(), root)
	if diff := cmp.Diff([]scan.Finding{{Path: "etc/munge/munge.key", Kind: "munge key"}}, got); diff != "" || err != nil {
		t.Errorf("%v, findings (-want +got):\n%s", err, diff)
	}
}

// TestKeysOfSSH takes keys that ssh-keygen made, and ssh-keygen itself for no key.
func TestKeysOfSSH(t *testing.T) {
	program := testenv.Program(t, "ssh-keygen")
	for _, args := range [][]string{{"-t", "ed25519"}, {"-t", "rsa", "-m", "PEM"}, {"-t", "ecdsa", "-m", "PKCS8"}} {
		path := filepath.Join(t.TempDir(), "key")
		if out, err := exec.CommandContext(t.Context(), program, append(args, "-q", "-N", "", "-f", path)...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if data, err := os.ReadFile(path); err != nil || !scan.HasPrivateKey(data) {
			t.Errorf("ssh-keygen %q: not found, %v", args, err)
		}
		if data, err := os.ReadFile(path + ".pub"); err != nil || scan.HasPrivateKey(data) {
			t.Errorf("ssh-keygen %q: the public key was found, %v", args, err)
		}
	}
	if data, err := os.ReadFile(program); err != nil || scan.HasPrivateKey(data) {
		t.Errorf("ssh-keygen itself holds a key: %v", err)
	}
}
