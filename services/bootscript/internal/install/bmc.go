package install

import (
	"fmt"
	"net/netip"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/services/bootscript/internal/plan"
)

// BMC is how a node's management controller shall be. Its password is told
// apart, by token.
type BMC struct {
	// Address with the prefix of its network.
	Address     string `json:"address"`
	Gateway     string `json:"gateway"`
	User        string `json:"user"`
	UserID      uint32 `json:"userid"`
	NetChannel  uint32 `json:"netchannel"`
	MgmtChannel uint32 `json:"mgmtchannel"`
	// Required ends the installation when the controller cannot be set up.
	Required bool `json:"required"`
	// Missing says what the inventory lacks for it.
	Missing string `json:"missing,omitempty"`
}

// BMCOf returns the controller's set-up of a planned node; nil when it is not
// to be set up.
func BMCOf(p plan.Plan) *BMC {
	s := p.Bmcsetup
	if s == nil || !p.Node.GetSetupbmc() {
		return nil
	}
	b := &BMC{User: s.User, UserID: s.Userid, NetChannel: s.Netchannel, MgmtChannel: s.Mgmtchannel, Required: s.Required}
	for _, a := range p.Node.GetAddresses() {
		network := p.Networks[a.NetworkId]
		addr, err := netip.ParseAddr(a.Address)
		prefix, prefixErr := netip.ParsePrefix(network.GetCidr())
		if a.Interface == catalog.BMC && err == nil && prefixErr == nil {
			b.Address, b.Gateway = netip.PrefixFrom(addr, prefix.Bits()).String(), network.GetGateway()
		}
	}
	if b.Address == "" {
		b.Missing = fmt.Sprintf("the controller has no address: luna group change %s --bmcnetwork --setnet NETWORK", p.Group.GetName())
	}
	return b
}
