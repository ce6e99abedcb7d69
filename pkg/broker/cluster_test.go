package broker_test

import (
	"strings"
	"testing"

	"github.com/luna-hpc/luna/pkg/broker"
)

func TestServersOfAClusterNameEachOther(t *testing.T) {
	keys := t.TempDir()
	heads := []string{"10.30.255.251", "10.30.255.252", " 10.30.255.253"}
	first, err := broker.ClusterConf(keys, "10.30.255.251", heads)
	if err != nil {
		t.Fatal(err)
	}
	again, err := broker.ClusterConf(keys, "10.30.255.251", heads)
	if err != nil || again != first {
		t.Errorf("another one at the second time: %v\n%s\n%s", err, first, again)
	}
	for _, want := range []string{"server_name: luna-10-30-255-251\n", `listen: "10.30.255.251:6222"`, "@10.30.255.252:6222", "@10.30.255.253:6222"} {
		if !strings.Contains(first, want) {
			t.Errorf("no %q in\n%s", want, first)
		}
	}
	if strings.Contains(first, "@10.30.255.251") {
		t.Errorf("it has a route to itself:\n%s", first)
	}
	for _, bad := range []struct {
		address, want string
		heads         []string
	}{
		{"10.30.255.9", `"10.30.255.9" is not one of the heads`, heads},
		{"10.30.255.251", "2 of them", heads[:2]},
		{"10.30.255.251", `"head2" is not an address`, []string{"10.30.255.251", "head2", "10.30.255.253"}},
	} {
		if _, err := broker.ClusterConf(keys, bad.address, bad.heads); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%v: %v, want %q", bad, err, bad.want)
		}
	}
}
