package loader

import (
	"net/netip"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

func TestLoaders(t *testing.T) {
	const menu = "http://10.30.255.254:7050/luna?step=boot"
	arch := func(a iana.Arch) dhcpv4.Option { return dhcpv4.OptClientArch(a) }
	http := dhcpv4.OptClassIdentifier("HTTPClient:Arch:00016:UNDI:003001")
	user := func(raw string) dhcpv4.Option {
		return dhcpv4.OptGeneric(dhcpv4.OptionUserClassInformation, []byte(raw))
	}
	files := Default()
	files[uint16(iana.EFI_ARM64_HTTP)] = "snponly-arm64.efi"
	for _, c := range []struct {
		what    string
		options []dhcpv4.Option
		want    string
	}{
		{"BIOS", []dhcpv4.Option{arch(iana.INTEL_X86PC)}, "undionly.kpxe"},
		{"no architecture", nil, "undionly.kpxe"},
		{"UEFI x64", []dhcpv4.Option{arch(iana.EFI_X86_64)}, "snponly.efi"},
		{"UEFI byte code", []dhcpv4.Option{arch(iana.EFI_BC)}, "snponly.efi"},
		{"arm64 without a file", []dhcpv4.Option{arch(iana.EFI_ARM64)}, ""},
		{"HTTP boot", []dhcpv4.Option{arch(iana.EFI_X86_64_HTTP), http}, "http://10.30.255.254:7050/boot/snponly.efi"},
		{"HTTP boot of arm64 with a file", []dhcpv4.Option{arch(iana.EFI_ARM64_HTTP), http}, "http://10.30.255.254:7050/boot/snponly-arm64.efi"},
		{"HTTP boot of 32 bits", []dhcpv4.Option{arch(iana.EFI_X86_HTTP), http}, ""},
		{"iPXE, bare", []dhcpv4.Option{arch(iana.EFI_X86_64), user("iPXE")}, menu},
		{"iPXE, with lengths", []dhcpv4.Option{arch(iana.EFI_ARM64), user("\x03foo\x04iPXE")}, menu},
		{"iPXE by its options", []dhcpv4.Option{dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(175), []byte{1, 1, 1})}, menu},
		{"not iPXE", []dhcpv4.Option{user("\x05iPXE2")}, "undionly.kpxe"},
		{"broken user class", []dhcpv4.Option{user("\x09iPXE")}, "undionly.kpxe"},
		{"empty user class", []dhcpv4.Option{user("\x00\x00")}, "undionly.kpxe"},
	} {
		p, err := dhcpv4.New()
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range c.options {
			p.UpdateOption(o)
		}
		got, ok := files.File(Of(p), netip.MustParseAddr("10.30.255.254"), 7050)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q", c.what, got)
		}
	}
}
