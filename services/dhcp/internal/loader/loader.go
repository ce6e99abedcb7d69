// Package loader chooses the first program that a machine loads.
package loader

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// Files are loader files by client architecture (RFC 4578 section 2.1, option 93).
type Files map[uint16]string

// Default are the loaders of Debian's ipxe package: BIOS and UEFI x64, by TFTP
// and by HTTP. It has none for arm64 and 32-bit UEFI.
func Default() Files {
	return Files{
		uint16(iana.INTEL_X86PC):      "undionly.kpxe",
		uint16(iana.EFI_X86_64):       "snponly.efi",
		uint16(iana.EFI_BC):           "snponly.efi",
		uint16(iana.EFI_X86_64_HTTP):  "snponly.efi",
		uint16(iana.EFI_BC_HTTP):      "snponly.efi",
		uint16(iana.INTEL_X86PC_HTTP): "undionly.kpxe",
	}
}

// Client is what a machine says of how it boots.
type Client struct {
	Arch uint16
	// IPXE runs iPXE already.
	IPXE bool
	// HTTP boots from a URL (UEFI HTTP boot).
	HTTP bool
	// PXE is a PXE ROM.
	PXE bool
}

const ipxeOptions = 175 // encapsulated options of iPXE

// Of reads a client from its packet. Without an architecture it is a BIOS.
func Of(req *dhcpv4.DHCPv4) Client {
	class := req.ClassIdentifier()
	c := Client{IPXE: isIPXE(req), HTTP: strings.HasPrefix(class, "HTTPClient"), PXE: strings.HasPrefix(class, "PXEClient")}
	if raw := req.Options.Get(dhcpv4.OptionClientSystemArchitectureType); len(raw) >= 2 {
		c.Arch = uint16(raw[0])<<8 | uint16(raw[1])
	}
	return c
}

// isIPXE knows iPXE by its user class, bare or with lengths (RFC 3004), or by its own options.
func isIPXE(req *dhcpv4.DHCPv4) bool {
	if req.Options.Has(dhcpv4.GenericOptionCode(ipxeOptions)) {
		return true
	}
	class := req.Options.Get(dhcpv4.OptionUserClassInformation)
	if string(class) == "iPXE" {
		return true
	}
	for len(class) > 0 && int(class[0]) < len(class) {
		n := int(class[0])
		if string(class[1:1+n]) == "iPXE" {
			return true
		}
		class = class[1+n:]
	}
	return false
}

// File returns what a client is to load from a head; ok is false when there is
// no loader for its architecture.
func (f Files) File(c Client, head netip.Addr, port uint32) (file string, ok bool) {
	base := fmt.Sprintf("http://%s:%d", head, port)
	if c.IPXE {
		return base + "/luna?step=boot", true
	}
	file = f[c.Arch]
	if file == "" {
		return "", false
	}
	if c.HTTP {
		return base + "/boot/" + file, true
	}
	return file, true
}
