package plan

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/luna-hpc/luna/services/bootscript/internal/ipxe"
)

var hostname = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?$`)

// Check says what in the inventory cannot stand in a boot script; "" when all can.
func (p Plan) Check() string {
	if !parse(p.Cluster.GetFrontendAddress()).IsValid() {
		return fmt.Sprintf("the cluster's frontend address %q is none", p.Cluster.GetFrontendAddress())
	}
	if !hostname.MatchString(p.FQDN()) {
		return fmt.Sprintf("%q is no host name", p.FQDN())
	}
	if gw := p.Gateway(); gw != "" && !parse(gw).IsValid() {
		return fmt.Sprintf("the gateway %q of network %s is no address", gw, p.Network.GetName())
	}
	for _, dns := range p.DNS() {
		if !parse(dns).IsValid() {
			return fmt.Sprintf("the name server %q of network %s is no address", dns, p.Network.GetName())
		}
	}
	opts := p.Kernopts()
	if err := ipxe.CheckLine(strings.ReplaceAll(opts, "\t", " ")); err != nil {
		return fmt.Sprintf("kernel options of node %s or osimage %s: %v", p.Node.GetName(), p.Osimage.GetName(), err)
	}
	return ""
}
