package install

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"

	"github.com/luna-hpc/luna/services/bootscript/internal/plan"
)

// Identity is who a node is.
type Identity struct {
	Node     string `json:"node"`
	Hostname string `json:"hostname"`
	// MachineID is the node's for its whole life, as in machine-id(5).
	MachineID string `json:"machine_id"`
	Hosts     []Host `json:"hosts"`
}

// Host is a line of /etc/hosts.
type Host struct {
	Address string   `json:"address"`
	Names   []string `json:"names"`
}

// IdentityOf returns the identity of a planned node. Its hosts are the node
// and the head: all other names come from DNS.
func IdentityOf(p plan.Plan) Identity {
	id := Identity{Node: p.Node.GetName(), Hostname: p.FQDN(), MachineID: machineID(p.Cluster.GetId(), p.Node.GetId())}
	if p.Address.IsValid() {
		id.Hosts = append(id.Hosts, Host{p.Address.Addr().String(), names(p.Node.GetName(), p.Domain)})
	}
	head := p.Network.GetNsHostname()
	if head == "" {
		head = p.Head
	}
	if _, err := netip.ParseAddr(p.Cluster.GetFrontendAddress()); err == nil {
		id.Hosts = append(id.Hosts, Host{p.Cluster.GetFrontendAddress(), names(head, p.Network.GetName())})
	}
	return id
}

func names(host, domain string) []string {
	if domain == "" {
		return []string{host}
	}
	return []string{host + "." + domain, host}
}

// machineID is made of the cluster and the node, so it is unique and stays.
func machineID(clusterID, nodeID string) string {
	sum := sha256.Sum256([]byte(clusterID + nodeID))
	return hex.EncodeToString(sum[:16])
}
