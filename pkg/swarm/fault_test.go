package swarm_test

import (
	"syscall"
	"testing"
	"time"
)

// surviving is how long machines may take to become complete whatever befell the others.
const surviving = 90 * time.Second

// faults is a room for what goes wrong: a head and nodes, 12 MB in three segments.
func faults(t *testing.T, nodes int, change ...func(*role)) (r *switchroom, head *machine, list []*machine) {
	t.Helper()
	t.Parallel()
	r = newSwitchroom(t, "40mbit", pieceLength, 80, 70, 50)
	head = r.head()
	return r, head, r.nodes(nodes, change...)
}

func TestHeadIsKilledAndComesBack(t *testing.T) {
	_, head, list := faults(t, 5)
	begin(list)
	share(list, 0.3)
	head.kill()
	head.start()
	allComplete(list, surviving)
}

func TestHalfOfTheNodesAreKilled(t *testing.T) {
	_, _, list := faults(t, 6)
	begin(list)
	share(list, 0.4)
	for _, m := range list[:3] {
		m.kill()
	}
	allComplete(list[3:], surviving)
}

func TestFrozenNode(t *testing.T) {
	_, _, list := faults(t, 5)
	begin(list)
	share(list, 0.3)
	list[0].signal(syscall.SIGSTOP)
	allComplete(list[1:], surviving)
	list[0].signal(syscall.SIGCONT)
	allComplete(list[:1], surviving)
}

func TestFrozenHead(t *testing.T) {
	_, head, list := faults(t, 4)
	begin(list)
	share(list, 0.3)
	head.signal(syscall.SIGSTOP)
	time.AfterFunc(4*time.Second, func() { _ = head.cmd.Process.Signal(syscall.SIGCONT) })
	allComplete(list, surviving)
}

func TestNodesWithoutATrackerAnyMore(t *testing.T) {
	_, head, list := faults(t, 4)
	begin(list)
	share(list, 0.1)
	head.tell("untrack")
	allComplete(list, surviving)
	if st := stats(list); st.FromPeers == 0 {
		t.Errorf("the nodes gave each other nothing: %+v", st)
	}
}

func TestLinksThatDrop(t *testing.T) {
	_, head, list := faults(t, 5)
	begin(list)
	share(list, 0.3)
	for _, m := range []*machine{list[0], head} {
		m.link("down")
		time.Sleep(3 * time.Second) // for as long as the fault lasts
		m.link("up")
	}
	allComplete(list, surviving)
}

// Whoever sends noise, wrong pieces or nothing calls itself a node that has everything, so that the
// head, which offers what no node has, is misled.
func TestPeersThatDoNoGood(t *testing.T) {
	for _, bad := range []string{badNoise, badWrong, badLiar} {
		t.Run(bad, func(t *testing.T) {
			r, _, list := faults(t, 4)
			r.nodes(1, func(role *role) { role.Bad = bad })
			begin(list)
			allComplete(list, surviving)
		})
	}
}

// With two heads each offers, and the nodes go on when one of them is killed.
func TestOneOfTwoHeadsIsKilled(t *testing.T) {
	t.Parallel()
	r := newSwitchroom(t, "40mbit", pieceLength, 80, 70, 50)
	heads := []*machine{r.head(), r.head()}
	list := r.nodes(4)
	begin(list)
	share(list, 0.3)
	heads[0].kill()
	allComplete(list, surviving)
}
