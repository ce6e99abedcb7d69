package bridgemib

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/luna-hpc/luna/services/integration/room"
)

// asked names the bridge, and behind slashes [Agent.FDB] and [Agent.Second], in the environment of a program that snmpd started.
const asked = "LUNA_BRIDGEMIB"

// ServeIfAsked serves a bridge and exits when snmpd started this program for that; else it returns. Programs that use
// [Agent.Command] call it first.
func ServeIfAsked() {
	name, ids, found := strings.Cut(os.Getenv(asked), "/")
	if !found {
		return
	}
	var untagged, second uint32
	_, err := fmt.Sscanf(ids, "%d/%d", &untagged, &second)
	if err == nil {
		err = Serve(os.Stdin, os.Stdout, func() ([]Row, error) { return Bridge(name, untagged, second) })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bridgemib:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Agent is an snmpd that makes a managed switch of a namespace's bridge. Words have no spaces.
type Agent struct {
	// Bridge is the bridge's name.
	Bridge string
	// FDB is the id under which entries without a VLAN stand in Q-BRIDGE-MIB; 0 leaves them to BRIDGE-MIB, as a switch
	// without VLANs does.
	FDB uint32
	// Second is a VLAN in which the switch has learned every MAC a second time, on the same port: 0 is none. Not every kernel
	// has VLANs on a bridge.
	Second uint32
	// Listen is the agent's address in the namespace.
	Listen netip.AddrPort
	// Community of version 2c, none when empty.
	Community string
	// User of version 3 with SHA and AES, none when empty; passwords have eight characters or more.
	User, AuthPassword, PrivPassword string
}

// Command returns snmpd in a namespace, with its files in dir. For the bridge it starts this very program, see [ServeIfAsked].
func (a Agent) Command(ctx context.Context, ns *room.Namespace, dir string) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	for _, word := range []string{a.Community, a.User, a.AuthPassword, a.PrivPassword} {
		if strings.ContainsAny(word, " \t\n\"'#\\") {
			return nil, fmt.Errorf("snmpd: the word %q must have no spaces, quotes or comments", word)
		}
	}
	file := filepath.Join(dir, "snmpd.conf")
	if strings.Contains(file, ",") {
		return nil, fmt.Errorf("snmpd: the folder %q must have no comma: snmpd takes it for two", dir)
	}
	if err := os.WriteFile(file, []byte(a.conf(program)), 0o600); err != nil {
		return nil, fmt.Errorf("write snmpd's configuration: %w", err)
	}
	cmd := ns.Command(ctx, "snmpd", "-f", "-Le", "-C", "-c", file, "udp:"+a.Listen.String())
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s/%d/%d", asked, a.Bridge, a.FDB, a.Second), "SNMP_PERSISTENT_DIR="+dir, "MIBS=")
	return cmd, nil
}

func (a Agent) conf(program string) string {
	var b strings.Builder
	if a.Community != "" {
		fmt.Fprintf(&b, "rocommunity %s\n", a.Community)
	}
	if a.User != "" {
		fmt.Fprintf(&b, "createUser %s SHA %s AES %s\nrouser %s authPriv\n", a.User, a.AuthPassword, a.PrivPassword, a.User)
	}
	fmt.Fprintf(&b, "pass_persist %s %s\n", Root, program)
	return b.String()
}
