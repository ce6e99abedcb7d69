package broker

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// clusterPort is the TCP port of the servers among each other.
const clusterPort = 6222

// ServerConf returns the configuration of the only server there is.
func ServerConf() string { return "server_name: luna\n" }

// ClusterConf returns the configuration of the server at an address among
// those of all heads. Servers let each other in by a password in the directory
// of the keys, which is made on the first head and copied to the others.
func ClusterConf(keys, address string, heads []string) (string, error) {
	for i, h := range heads {
		a, err := netip.ParseAddr(strings.TrimSpace(h))
		if err != nil {
			return "", fmt.Errorf("heads: %q is not an address", h)
		}
		heads[i] = a.String()
	}
	if len(heads) != 3 && len(heads) != 5 {
		return "", fmt.Errorf("heads: %d of them; a cluster has 3 or 5, so that most go on when one is off", len(heads))
	}
	if !slices.Contains(heads, address) {
		return "", fmt.Errorf("address: %q is not one of the heads %s", address, strings.Join(heads, ", "))
	}
	password, err := clusterPassword(filepath.Join(keys, "cluster.password"))
	if err != nil {
		return "", fmt.Errorf("password of the servers: %w", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "server_name: luna-%s\ncluster {\n  name: luna\n  listen: %q\n", strings.NewReplacer(".", "-", ":", "-").Replace(address), hostPort(address))
	fmt.Fprintf(&b, "  authorization { user: luna, password: %q, timeout: 5 }\n  routes: [\n", password)
	for _, h := range heads {
		if h != address {
			fmt.Fprintf(&b, "    \"nats://luna:%s@%s\"\n", password, hostPort(h))
		}
	}
	b.WriteString("  ]\n}\n")
	return b.String(), nil
}

func hostPort(address string) string {
	return netip.AddrPortFrom(netip.MustParseAddr(address), clusterPort).String()
}

// clusterPassword reads the password, or makes it.
func clusterPassword(file string) (string, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		data = []byte(rand.Text())
		err = os.WriteFile(file, data, 0o600)
	}
	return strings.TrimSpace(string(data)), err
}
