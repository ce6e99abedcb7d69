package exchange

import (
	"github.com/insomniacslk/dhcp/dhcpv4"
)

// bootField is how long a name the BOOTP file field takes.
const bootField = 127

// boot names the loader: in the BOOTP field that many ROMs read, and in options
// 66 and 67 for those that ask. siaddr is this head already.
func (x *exchange) boot(req, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
	file, ok := x.Terms.Loaders.File(x.client, x.place.Server, x.plan.HTTPPort)
	if !ok {
		x.Metrics.Refused("no_loader")
		x.warn("no loader for this architecture: set it in the configuration", "mac", x.mac, "arch", x.client.Arch)
		return resp, false
	}
	resp.BootFileName = file
	if len(file) > bootField {
		resp.BootFileName = ""
	}
	if req.IsOptionRequested(dhcpv4.OptionTFTPServerName) {
		resp.UpdateOption(dhcpv4.OptTFTPServerName(x.place.Server.String()))
	}
	if req.IsOptionRequested(dhcpv4.OptionBootfileName) || len(file) > bootField {
		resp.UpdateOption(dhcpv4.OptBootFileName(file))
	}
	if x.client.HTTP {
		resp.UpdateOption(dhcpv4.OptClassIdentifier("HTTPClient"))
	}
	return resp, false
}

// Options of PXE (PXE 2.1 section 2.2): only the boot file counts, no server is searched for.
var downloadOnly = []byte{6, 1, 8, 255}

const machineID = 97 // client machine identifier (RFC 4578 section 2.3)

// proxy makes the answer one to a PXE client that has its address already and
// asks on port 4011 for the boot file (PXE 2.1 section 2.3).
func (x *exchange) proxy(req, resp *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
	if !x.client.PXE || resp.BootFileName == "" || !x.in.From.Addr().IsValid() || x.in.From.Addr().IsUnspecified() {
		x.Metrics.Refused("proxy")
		return nil, true
	}
	resp.UpdateOption(dhcpv4.OptClassIdentifier("PXEClient"))
	resp.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionVendorSpecificInformation, downloadOnly))
	if id := req.Options.Get(dhcpv4.GenericOptionCode(machineID)); id != nil {
		resp.UpdateOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(machineID), id))
	}
	return resp, false
}
