package netif

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
)

// Lease asks DHCP servers for an IPv4 setting for an interface that is up. It
// sends a few times; the error says how often nobody answered.
func Lease(ctx context.Context, name, hostname string) (Setting, error) {
	const timeout, retries = 4 * time.Second, 3
	client, err := nclient4.New(name, nclient4.WithTimeout(timeout), nclient4.WithRetry(retries))
	if err != nil {
		return Setting{}, fmt.Errorf("ask for an address on %s: %w", name, err)
	}
	defer client.Close()
	lease, err := client.Request(ctx,
		dhcpv4.WithOption(dhcpv4.OptHostName(hostname)),
		dhcpv4.WithRequestedOptions(dhcpv4.OptionInterfaceMTU))
	if errors.Is(err, nclient4.ErrNoResponse) {
		return Setting{}, fmt.Errorf("no DHCP server answers on %s", name)
	}
	if err != nil {
		return Setting{}, fmt.Errorf("ask for an address on %s: %w", name, err)
	}
	return setting(lease.ACK)
}

// setting reads the server's answer.
func setting(ack *dhcpv4.DHCPv4) (Setting, error) {
	ip, ok := netip.AddrFromSlice(ack.YourIPAddr.To4())
	bits, width := ack.SubnetMask().Size()
	if !ok || ip.IsUnspecified() || width != 32 || bits == 0 {
		return Setting{}, fmt.Errorf("the DHCP server %s gives address %s with mask %s", ack.ServerIdentifier(), ack.YourIPAddr, ack.SubnetMask())
	}
	s := Setting{Address: netip.PrefixFrom(ip, bits), DNS: addrs(ack.DNS()), Search: ack.DomainName()}
	if routers := addrs(ack.Router()); len(routers) > 0 {
		s.Gateway = routers[0]
	}
	if mtu, err := dhcpv4.GetUint16(dhcpv4.OptionInterfaceMTU, ack.Options); err == nil {
		s.MTU = int(mtu)
	}
	return s, nil
}

func addrs(ips []net.IP) []netip.Addr {
	var out []netip.Addr
	for _, ip := range ips {
		if a, ok := netip.AddrFromSlice(ip); ok {
			out = append(out, a.Unmap())
		}
	}
	return out
}
