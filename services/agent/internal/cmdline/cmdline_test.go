package cmdline

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/release"
)

const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

const other = "sha256:1111111111111111111111111111111111111111111111111111111111111111"

const whole = `initrd=initrd.img root=luna luna.bootproto=static luna.mac=52:54:00:00:00:01 luna.ip=10.30.0.1/16 ` +
	`luna.gw=10.30.255.1 luna.dns=10.30.255.254,fd00::1 luna.url=http://10.30.255.254:7050/luna luna.node=node001 ` +
	`luna.hostname=node001.cluster luna.service=0 luna.boot=01ABC luna.token=secret luna.manifest=` + digest +
	` luna.overlay=` + other + ` luna.time=1700000000 luna.ctty=/dev/ttyS1 console=ttyS0,115200 dyndbg="file a.c +p luna.node=other" init=/lib/systemd/systemd` + "\n"

func TestParseReadsTheWholeLine(t *testing.T) {
	l, err := Parse(whole)
	if err != nil {
		t.Fatal(err)
	}
	same := l.Protocol == Static && l.MAC.String() == "52:54:00:00:00:01" &&
		l.Address == netip.MustParsePrefix("10.30.0.1/16") && l.Gateway == netip.MustParseAddr("10.30.255.1") &&
		slices.Equal(l.DNS, []netip.Addr{netip.MustParseAddr("10.30.255.254"), netip.MustParseAddr("fd00::1")}) &&
		l.URL.String() == "http://10.30.255.254:7050/luna" && l.Node == "node001" && l.Hostname == "node001.cluster" &&
		!l.Service && l.Boot == "01ABC" && l.Token == "secret" && slices.Equal(l.Allowed(), []release.Digest{digest, other}) && l.Unpacked() == digest &&
		l.Time.Equal(time.Unix(1700000000, 0)) && l.Console == "ttyS1" && l.Init == "/lib/systemd/systemd" && l.Unknown == nil
	if !same {
		t.Errorf("got %+v", l)
	}
}

func TestImageAndFilesOfARelease(t *testing.T) {
	l, err := Parse("luna.mac=52:54:00:00:00:01 luna.url=http://h/luna luna.node=n1 luna.manifest=" + digest + " luna.files=" + other)
	if err != nil || l.Unpacked() != other || !slices.Equal(l.Allowed(), []release.Digest{digest, other}) {
		t.Errorf("got %+v, %v", l, err)
	}
	if l.Manifest = ""; l.Allowed() != nil {
		t.Errorf("without a manifest %v is allowed only", l.Allowed())
	}
}

func TestParseFillsInWhatIsAbsent(t *testing.T) {
	l, err := Parse("luna.url=http://h/luna luna.node=n1 BOOTIF=01-52-54-00-00-00-02 luna.ip= luna.gw= luna.new=1 luna.bootproto=static")
	if err != nil {
		t.Fatal(err)
	}
	if l.Protocol != DHCP || l.MAC.String() != "52:54:00:00:00:02" || l.Hostname != "n1" || l.Init != "/sbin/init" {
		t.Errorf("got %+v", l)
	}
	if !slices.Equal(l.Unknown, []string{"luna.new"}) {
		t.Errorf("unknown parameters are %v", l.Unknown)
	}
}

func TestParseNamesWhatIsWrong(t *testing.T) {
	const good = "luna.mac=52:54:00:00:00:01 luna.url=http://h/luna luna.node=n "
	for _, c := range []struct{ line, want string }{
		{"", "luna.mac is missing"},
		{"", "luna.url is missing"},
		{"", "luna.node is missing"},
		{"luna.mac=5254", `luna.mac is "5254", not a MAC address`},
		{good + "luna.bootproto=bootp", `luna.bootproto is "bootp", not static or dhcp`},
		{good + "luna.ip=10.30.0.1", `luna.ip is "10.30.0.1", not an address with a prefix`},
		{good + "luna.gw=x", `luna.gw is "x", not an address`},
		{good + "luna.dns=10.0.0.1,,", `luna.dns is "", not an address`},
		{good + "luna.service=yes", `luna.service is "yes", not 0 or 1`},
		{good + "luna.manifest=sha256:00", "luna.manifest is not a digest"},
		{good + "luna.time=now", `luna.time is "now", not seconds since 1970`},
		{good + "luna.ctty=/dev/../mem", "luna.ctty is"},
		{good + "luna.node=other", "luna.node stands twice with different values"},
		{good + "luna.hostname=a/b", `luna.hostname is "a/b", not a host name`},
		{"luna.url=ftp://h/", `luna.url is "ftp://h/", not a URL`},
	} {
		if _, err := Parse(c.line); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Parse(%q): %v, want %q in it", c.line, err, c.want)
		}
	}
}

func TestErrorsDoNotShowTheToken(t *testing.T) {
	_, err := Parse("luna.token=hush luna.token=other")
	if err == nil || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "other") {
		t.Errorf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(whole)
	f.Add("luna.mac= luna.ip=::/0 \"luna.url=http://[::1]/\" BOOTIF=")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := Parse(text)
		if err == nil && (l.MAC == nil || l.URL == nil || l.Node == "" || l.Hostname == "") {
			t.Errorf("Parse(%q) accepted %+v", text, l)
		}
		if l.Protocol == Static && !l.Address.IsValid() {
			t.Errorf("Parse(%q) is static without an address", text)
		}
	})
}
