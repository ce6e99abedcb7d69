package boot

import (
	"slices"
	"testing"

	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
)

// TestPendingBootsOfANode adds and drops entries of two nodes.
func TestPendingBootsOfANode(t *testing.T) {
	p := newPending()
	of := func(node, boot string) *entry {
		return &entry{step: &bootscriptv1.Step{NodeId: node, BootId: boot}}
	}
	first, second := of("N1", "B1"), of("N1", "B1")
	for _, e := range []*entry{first, second, of("N1", "B2"), of("N2", "B3")} {
		p.add(e)
	}
	want := func(node string, boots ...string) {
		t.Helper()
		if got := p.ofNode(node); !slices.Equal(got, boots) {
			t.Errorf("node %s has the boots %v, want %v", node, got, boots)
		}
	}
	want("N1", "B1", "B2")
	want("N2", "B3")
	p.drop("B1", func(e *entry) bool { return e == first })
	if got := p.of("B1"); !slices.Equal(got, []*entry{second}) {
		t.Errorf("B1 has %v", got)
	}
	want("N1", "B1", "B2")
	p.drop("B1", func(*entry) bool { return true })
	p.drop("B1", func(*entry) bool { return true })
	want("N1", "B2")
	p.drop("B2", func(*entry) bool { return true })
	p.drop("B3", func(*entry) bool { return true })
	want("N1")
	if len(p.boots)+len(p.nodes) > 0 {
		t.Errorf("left is %v", p)
	}
}
