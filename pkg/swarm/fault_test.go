package swarm_test

import (
	"os"
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

// Beside what the others print.
func TestNothingGoesWrong(t *testing.T) {
	r, _, list := faults(t, 5)
	begin(list)
	r.complete("no fault", list)
}

func TestHeadIsKilledAndComesBack(t *testing.T) {
	r, head, list := faults(t, 5)
	begin(list)
	share(list, 0.3)
	head.kill()
	head.start()
	r.complete("a head killed at 30 %", list)
}

func TestHalfOfTheNodesAreKilled(t *testing.T) {
	r, _, list := faults(t, 6)
	begin(list)
	share(list, 0.4)
	for _, m := range list[:3] {
		m.kill()
	}
	r.complete("half of the nodes killed, to the others", list[3:])
}

func TestFrozenNode(t *testing.T) {
	r, _, list := faults(t, 5)
	begin(list)
	share(list, 0.3)
	list[0].signal(syscall.SIGSTOP)
	r.complete("a frozen node, to the others", list[1:])
	list[0].signal(syscall.SIGCONT)
	allComplete(list[:1], surviving)
}

func TestFrozenHead(t *testing.T) {
	r, head, list := faults(t, 4)
	begin(list)
	share(list, 0.3)
	head.signal(syscall.SIGSTOP)
	time.AfterFunc(4*time.Second, func() { _ = head.cmd.Process.Signal(syscall.SIGCONT) })
	r.complete("a head frozen for 4 s", list)
}

func TestNodesWithoutATrackerAnyMore(t *testing.T) {
	r, head, list := faults(t, 4)
	begin(list)
	share(list, 0.1)
	head.tell("untrack")
	r.complete("no tracker any more", list)
	if st := stats(list); st.FromPeers == 0 {
		t.Errorf("the nodes gave each other nothing: %+v", st)
	}
}

func TestLinksThatDrop(t *testing.T) {
	r, head, list := faults(t, 5)
	begin(list)
	share(list, 0.3)
	for _, m := range []*machine{list[0], head} {
		m.link("down")
		time.Sleep(3 * time.Second) // for as long as the fault lasts
		m.link("up")
	}
	r.complete("the links of a node and the head down for 3 s each", list)
}

// A link that is down for longer than TCP's keep-alive bears costs the others nothing, and its machine little.
func TestLinkThatIsDownForLong(t *testing.T) {
	r, _, list := faults(t, 5)
	begin(list)
	share(list, 0.3)
	list[0].link("down")
	up := time.After(20 * time.Second) // for as long as the fault lasts
	r.complete("a link down for 20 s, to the others", list[1:])
	<-up
	list[0].link("up")
	r.complete("a link down for 20 s, to its machine", list[:1])
}

func TestSlowNode(t *testing.T) {
	r, _, list := faults(t, 5)
	list[0].shape("10mbit")
	begin(list)
	r.complete("a node at a quarter of the rate, to the others", list[1:])
	r.complete("a node at a quarter of the rate, to itself", list[:1])
}

// A node without room says so and ends; once there is room it goes on with what it has.
func TestNodeWithAFullDisk(t *testing.T) {
	var dir string
	r, _, list := faults(t, 5, func(role *role) {
		if dir == "" {
			dir = role.Dir
			must(t, os.Mkdir(dir, 0o755))
			must(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=5m"))
			t.Cleanup(func() { must(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
		}
	})
	begin(list)
	r.complete("a node with a full disk, to the others", list[1:])
	select {
	case <-list[0].over:
	case <-time.After(surviving):
		t.Fatalf("it does not say that its disk is full: %+v", list[0].last.get())
	}
	mustContain(t, list[0].said.String(), syscall.ENOSPC.Error())
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=50m"))
	list[0].start()
	begin(list[:1])
	r.complete("a node whose disk was full, to itself", list[:1])
}

// Whoever sends noise, wrong pieces or nothing calls itself a node that has everything, so that the
// head, which offers what no node has, is misled.
func TestPeersThatDoNoGood(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{badNoise, badWrong, badLiar} {
		t.Run(bad, func(t *testing.T) {
			r, _, list := faults(t, 4)
			r.nodes(1, func(role *role) { role.Bad = bad })
			begin(list)
			r.complete("a peer of "+bad, list)
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
	r.complete("one of two heads killed", list)
}
