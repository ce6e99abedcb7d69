package exchange

import (
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

var update = flag.Bool("update", false, "write golden files")

const (
	offer = dhcpv4.MessageTypeOffer
	ack   = dhcpv4.MessageTypeAck
	nak   = dhcpv4.MessageTypeNak
	none  = "0.0.0.0"
)

var everything = asks(dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter, dhcpv4.OptionDomainNameServer, dhcpv4.OptionHostName, dhcpv4.OptionDomainName,
	dhcpv4.OptionInterfaceMTU, dhcpv4.OptionBroadcastAddress, dhcpv4.OptionNTPServers, dhcpv4.OptionTFTPServerName, dhcpv4.OptionBootfileName, dhcpv4.OptionDNSDomainSearchList)

func TestGoldenPackets(t *testing.T) {
	for _, c := range []struct {
		name string
		mac  string
		mods []mod
	}{
		{"bios", nodeMAC, []mod{arch(iana.INTEL_X86PC), class("PXEClient:Arch:00000:UNDI:002001"), everything}},
		{"uefi", nodeMAC, []mod{arch(iana.EFI_X86_64), class("PXEClient:Arch:00007:UNDI:003016"), everything}},
		{"http", nodeMAC, []mod{arch(iana.EFI_X86_64_HTTP), class("HTTPClient:Arch:00016:UNDI:003001"), everything}},
		{"ipxe", gpuMAC, []mod{arch(iana.EFI_X86_64), class("PXEClient:Arch:00007:UNDI:003016"), dhcpv4.WithUserClass("iPXE", false), everything}},
		{"system", gpuMAC, nil},
		{"relay", farMAC, []mod{arch(iana.EFI_BC), relayed("10.50.0.1"), dhcpv4.WithOption(dhcpv4.OptRelayAgentInfo(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(1), []byte("port7"))))}},
		{"stranger", strangerMAC, []mod{arch(iana.EFI_ARM64), everything}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, facts()).discover(c.mac, c.mods...)
			if r == nil {
				t.Fatal("no answer")
			}
			got := fmt.Sprintf("from %s to %s frame %s\n%s\n", r.Source, r.To, r.Hardware, r.Summary())
			file := filepath.Join("testdata", c.name+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestNodeGetsItsOwnAddressAndNoLease(t *testing.T) {
	s := start(t, facts())
	s.discover(nodeMAC).is(t, offer, "10.30.0.1")
	r := s.request(nodeMAC, "10.30.0.1")
	r.is(t, ack, "10.30.0.1")
	if len(r.Keep) != 0 || len(s.Leases.Live(s.clock)) != 0 {
		t.Error("a lease was written for a node")
	}
	s.renew(nodeMAC, "10.30.0.1").is(t, ack, "10.30.0.1")
	s.reboot(nodeMAC, "10.30.0.1").is(t, ack, "10.30.0.1")
}

func TestNodeIsRefusedAnyOtherAddress(t *testing.T) {
	s := start(t, facts())
	for _, r := range []*reply{s.request(nodeMAC, "10.30.128.1"), s.reboot(nodeMAC, "10.30.0.2"), s.renew(nodeMAC, "10.30.0.7")} {
		r.is(t, nak, none)
		if r.To.String() != "255.255.255.255:68" || r.Hardware != nil {
			t.Errorf("NAK went to %s", r.To)
		}
	}
}

func TestClientIDsDoNotMatter(t *testing.T) {
	s := start(t, facts())
	for _, id := range []string{"a", "\xff\x00\x01firmware", "\x01\x52\x54\x00\x00\x00\x02"} {
		s.discover(nodeMAC, dhcpv4.WithOption(dhcpv4.OptClientIdentifier([]byte(id)))).is(t, offer, "10.30.0.1")
	}
}

func TestAnswersGoWhereTheClientHears(t *testing.T) {
	s := start(t, facts())
	for _, c := range []struct {
		what string
		r    *reply
		to   string
		hw   bool
	}{
		{"no address yet", s.discover(nodeMAC), "10.30.0.1:68", true},
		{"broadcast flag", s.discover(nodeMAC, dhcpv4.WithBroadcast(true)), "255.255.255.255:68", false},
		{"renewing", s.renew(nodeMAC, "10.30.0.1"), "10.30.0.1:68", false},
		{"relay", s.discover(farMAC, relayed("10.50.0.1")), "10.50.0.1:67", false},
		{"renewing through a router", s.renew(farMAC, "10.50.0.33"), "10.50.0.33:68", false},
		{"refused behind a relay", s.request(farMAC, "10.50.0.34", relayed("10.50.0.1")), "10.50.0.1:67", false},
	} {
		if c.r == nil {
			t.Errorf("%s: no answer", c.what)
			continue
		}
		if c.r.To.String() != c.to || (c.r.Hardware != nil) != c.hw || c.r.Source.String() != "10.30.255.254" {
			t.Errorf("%s: from %s to %s, frame %v", c.what, c.r.Source, c.r.To, c.r.Hardware)
		}
	}
	if r := s.request(farMAC, "10.50.0.34", relayed("10.50.0.1")); !r.IsBroadcast() {
		t.Error("a relayed NAK without the broadcast flag never reaches the client")
	}
}

func TestNodeOnAWireOfAnotherNetworkIsAStranger(t *testing.T) {
	s := start(t, facts())
	s.discover(farMAC).is(t, offer, s.discover(farMAC).YourIPAddr.String())
	if r := s.discover(farMAC); r.YourIPAddr.String() == "10.50.0.33" || r.HostName() != "" {
		t.Error("a node got its address on the wrong wire")
	}
	s.link = eth1
	s.discover(nodeMAC).silent(t)
}

func TestOtherServersAndOddPacketsAreLeftAlone(t *testing.T) {
	s := start(t, facts())
	s.request(nodeMAC, "10.30.0.1", dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 30, 1, 1)))).silent(t)
	bootp := packet(t, nodeMAC, dhcpv4.MessageTypeDiscover)
	bootp.Options.Del(dhcpv4.OptionDHCPMessageType)
	if r, _ := s.say(bootp, "0.0.0.0:68"); r != nil {
		t.Error("a packet without a type was answered")
	}
	answer := packet(t, nodeMAC, dhcpv4.MessageTypeDiscover)
	answer.OpCode = dhcpv4.OpcodeBootReply
	if r, _ := s.say(answer, "0.0.0.0:68"); r != nil {
		t.Error("an answer was answered")
	}
	ib := packet(t, nodeMAC, dhcpv4.MessageTypeDiscover)
	ib.HWType, ib.ClientHWAddr = 32, nil
	if r, _ := s.say(ib, "0.0.0.0:68"); r != nil {
		t.Error("a packet without a MAC was answered")
	}
}

func TestInformGetsOptionsAndNoAddress(t *testing.T) {
	s := start(t, facts())
	r, _ := s.say(packet(t, strangerMAC, dhcpv4.MessageTypeInform, dhcpv4.WithClientIP(net.IPv4(10, 30, 7, 7))), "10.30.7.7:68")
	r.is(t, ack, none)
	if r.Options.Has(dhcpv4.OptionIPAddressLeaseTime) || len(r.Router()) != 1 || r.To.String() != "10.30.7.7:68" {
		t.Error(r.Summary())
	}
}

func TestOnlyPrivilegedIPXEExchangesAreNoticed(t *testing.T) {
	s := start(t, facts())
	ipxe := dhcpv4.WithUserClass("iPXE", true)
	ask := func(from string, mods ...mod) *reply {
		mods = append(mods, dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.IPv4(10, 30, 0, 1))))
		r, _ := s.say(packet(t, nodeMAC, dhcpv4.MessageTypeRequest, mods...), from)
		return r
	}
	if r := s.discover(nodeMAC, ipxe); r.IPXE != nil {
		t.Error("an offer is no exchange")
	}
	if r := ask("0.0.0.0:68"); r.IPXE != nil {
		t.Error("a client that is not iPXE was noticed")
	}
	if r := ask("10.30.0.9:5068", ipxe); r.IPXE != nil {
		t.Error("a packet from an ordinary port was noticed")
	}
	if r := ask("10.50.0.1:5067", ipxe, relayed("10.30.255.1")); r.IPXE != nil {
		t.Error("a packet that only says that it was relayed was noticed")
	}
	if r := ask("10.30.255.1:67", ipxe, relayed("10.30.255.1")); r.IPXE == nil {
		t.Error("a relayed exchange was not noticed")
	}
	r := ask("0.0.0.0:68", ipxe)
	if r.IPXE == nil || r.IPXE.MAC.String() != nodeMAC || r.IPXE.Address != netip.MustParseAddr("10.30.0.1") || !r.IPXE.At.Equal(s.clock) {
		t.Errorf("noticed %v", r.IPXE)
	}
}

func TestProxyOn4011(t *testing.T) {
	s := start(t, facts())
	ask := func(from string, mods ...mod) (Out, bool) {
		p := packet(t, nodeMAC, dhcpv4.MessageTypeRequest, append(mods, dhcpv4.WithClientIP(net.IPv4(10, 30, 0, 1)), dhcpv4.WithGeneric(dhcpv4.GenericOptionCode(97), []byte("\x00uuid")))...)
		return s.Answer(In{Link: eth0, Port: ProxyPort, From: netip.MustParseAddrPort(from), Data: p.ToBytes()})
	}
	out, ok := ask("10.30.0.1:4011", class("PXEClient:Arch:00007"), arch(iana.EFI_X86_64))
	if !ok {
		t.Fatal("no answer")
	}
	r, err := dhcpv4.FromBytes(out.Data)
	if err != nil {
		t.Fatal(err)
	}
	if out.To.String() != "10.30.0.1:4011" || r.MessageType() != ack || r.BootFileName != "snponly.efi" || r.ClassIdentifier() != "PXEClient" ||
		!r.YourIPAddr.IsUnspecified() || string(r.Options.Get(dhcpv4.GenericOptionCode(97))) != "\x00uuid" || r.Options.Has(dhcpv4.OptionIPAddressLeaseTime) {
		t.Error(out.To, r.Summary())
	}
	if _, ok := ask("10.30.0.1:4011"); ok {
		t.Error("a client that is no PXE ROM was answered")
	}
	if _, ok := ask("10.30.0.1:4011", class("PXEClient:Arch:00011"), arch(iana.EFI_ARM64)); ok {
		t.Error("an answer without a loader")
	}
}

func FuzzAnswer(f *testing.F) {
	t := &testing.T{}
	f.Add(packet(t, nodeMAC, dhcpv4.MessageTypeDiscover, arch(iana.EFI_X86_64), everything).ToBytes(), uint16(67))
	f.Add(packet(t, strangerMAC, dhcpv4.MessageTypeRequest, dhcpv4.WithUserClass("iPXE", true), relayed("10.50.0.1")).ToBytes(), uint16(4011))
	f.Add(packet(t, strangerMAC, dhcpv4.MessageTypeDecline).ToBytes(), uint16(67))
	f.Fuzz(func(t *testing.T, data []byte, port uint16) {
		s := start(t, facts())
		out, ok := s.Answer(In{Link: eth0, Port: port, From: netip.MustParseAddrPort("10.30.0.1:68"), Data: data})
		if !ok {
			return
		}
		if _, err := dhcpv4.FromBytes(out.Data); err != nil {
			t.Errorf("answer cannot be read: %v", err)
		}
		if !out.To.IsValid() || !out.Source.IsValid() {
			t.Errorf("answer from %s to %s", out.Source, out.To)
		}
	})
}
