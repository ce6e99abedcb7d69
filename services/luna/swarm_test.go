package luna

import (
	"bytes"
	"strings"
	"testing"

	torrentseederv1 "github.com/luna-hpc/luna/proto/torrentseeder/v1"
)

// seen is what a head with two nodes says at a second.
func seen(head, second string, first, last int64) *torrentseederv1.SwarmShowReply {
	return &torrentseederv1.SwarmShowReply{Head: head, Time: "2026-11-26T10:00:" + second + "Z", Swarms: []*torrentseederv1.Swarm{
		{Osimage: "compute", Release: "sha256:aaaaaaaaaaaaaaaaaaaa", Current: true, Size: 100e6, Sent: 60e6, Peers: []*torrentseederv1.Peer{
			{Address: "10.30.0.1", Kind: "node", Has: first, FromHead: 20e6}, {Address: "10.30.0.2", Kind: "node", Has: last, FromHead: 40e6}}},
		{Osimage: "compute", Release: "sha256:bbbbbbbbbbbbbbbbbbbb", Size: 90e6},
	}}
}

func TestSwarmOfTwoHeads(t *testing.T) {
	var out bytes.Buffer
	a := &app{out: &out, output: "table"}
	before := []*torrentseederv1.SwarmShowReply{seen("head1", "00", 30e6, 100e6), seen("head2", "00", 30e6, 90e6)}
	now := []*torrentseederv1.SwarmShowReply{seen("head1", "02", 50e6, 100e6), seen("head2", "02", 48e6, 95e6)}
	if err := a.showSwarms(before, now, "", map[string]string{"10.30.0.1": "node001"}); err != nil {
		t.Fatal(err)
	}
	want := `compute sha256:aaaaaaaaaaaa (current): 100.0 MB; the heads have sent 1.20 times that; 1 of 2 nodes have all
┌───────────┬───────┬────────────┬─────────────┬───────────┬──────┐
│ NODE      │ HAS   │ FROM HEADS │ FROM OTHERS │ RATE      │ LEFT │
├───────────┼───────┼────────────┼─────────────┼───────────┼──────┤
│ node001   │ 50 %  │ 40.0 MB    │ 10.0 MB     │ 10.0 MB/s │ 5s   │
│ 10.30.0.2 │ 100 % │ 80.0 MB    │ 20.0 MB     │ 0.0 MB/s  │      │
└───────────┴───────┴────────────┴─────────────┴───────────┴──────┘
`
	if out.String() != want {
		t.Errorf("got\n%s", &out)
	}
}

func TestSwarmOfAnImage(t *testing.T) {
	var out bytes.Buffer
	a := &app{out: &out, output: "table"}
	now := []*torrentseederv1.SwarmShowReply{seen("head1", "02", 50e6, 100e6)}
	if err := a.showSwarms(nil, now, "compute", nil); err != nil || !strings.Contains(out.String(), "sha256:bbbbbbbbbbbb: 90.0 MB") || !strings.Contains(out.String(), "?") {
		t.Errorf("%v, got\n%s", err, &out)
	}
	if err := a.showSwarms(nil, now, "gpu", nil); err == nil || !strings.Contains(err.Error(), `"gpu"`) {
		t.Errorf("got %v", err)
	}
}
