package plugin

import (
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

func TestCoredhcpPluginIsAsked(t *testing.T) {
	hs, err := Load([]string{"staticroute 10.99.0.0/16,10.30.255.1"})
	if err != nil {
		t.Fatal(err)
	}
	req, err := dhcpv4.New()
	if err != nil {
		t.Fatal(err)
	}
	resp, _ := hs[0](req, req)
	if r := resp.ClasslessStaticRoute(); len(r) != 1 || r[0].Dest.String() != "10.99.0.0/16" {
		t.Errorf("routes %v", r)
	}
}

func TestUnknownPluginIsRefusedByName(t *testing.T) {
	for _, line := range []string{"range x", "", "staticroute nonsense"} {
		if _, err := Load([]string{line}); err == nil || !strings.Contains(err.Error(), `"`+line+`"`) {
			t.Errorf("%q: %v", line, err)
		}
	}
}
