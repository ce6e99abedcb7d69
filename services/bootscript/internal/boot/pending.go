package boot

import (
	"slices"
	"time"

	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
)

// entry is a step of this head that the fold does not show yet.
type entry struct {
	step *bootscriptv1.Step
	made time.Time
	// kept is closed once the step is on disk, or err says why not.
	kept chan struct{}
	err  error
}

// pending is the entries of all boots. Every discovery asks for those of one node, and in the first minute of a
// room's power there is a boot of every node.
type pending struct {
	boots map[string][]*entry // by boot
	nodes map[string][]string // boots by node
}

func newPending() pending {
	return pending{boots: map[string][]*entry{}, nodes: map[string][]string{}}
}

// of returns the entries of a boot, in the order in which they were made.
func (p pending) of(boot string) []*entry { return p.boots[boot] }

// ofNode returns the boots of a node.
func (p pending) ofNode(id string) []string { return p.nodes[id] }

// add adds an entry to its boot, which is of the node of its first entry.
func (p pending) add(e *entry) {
	boot := e.step.BootId
	if len(p.boots[boot]) == 0 {
		p.nodes[e.step.NodeId] = append(p.nodes[e.step.NodeId], boot)
	}
	p.boots[boot] = append(p.boots[boot], e)
}

// drop takes entries out of a boot.
func (p pending) drop(boot string, is func(*entry) bool) {
	old := p.boots[boot]
	if len(old) == 0 {
		return
	}
	node := old[0].step.NodeId
	left := slices.DeleteFunc(slices.Clone(old), is)
	if len(left) > 0 {
		p.boots[boot] = left
		return
	}
	delete(p.boots, boot)
	if p.nodes[node] = slices.DeleteFunc(p.nodes[node], func(id string) bool { return id == boot }); len(p.nodes[node]) == 0 {
		delete(p.nodes, node)
	}
}
