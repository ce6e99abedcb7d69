package swarm_test

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/testenv"
)

// A stranger gets the same bytes, from the head and from a node of ours.
func TestStrangerDownloads(t *testing.T) {
	aria2 := testenv.Program(t, "aria2c")
	dir := t.TempDir()
	p := newPayload(t, dir, 20, 40, 25)
	h := newHead(t, dir, p)
	h.offers(t, p, p.size)
	aria2Gets(t, aria2, h, p)

	n := h.boot(t, "127.0.0.2", p)
	n.complete(t)
	h.stop()
	aria2Gets(t, aria2, h, p)
	if st := n.Stats(); st.Completed != p.size {
		t.Errorf("the node has %d bytes", st.Completed)
	}
}

func aria2Gets(t *testing.T, aria2 string, h *head, p payload) {
	t.Helper()
	into := t.TempDir()
	file := filepath.Join(into, "luna.torrent")
	write(t, file, p.announcingTo(t, h.url+"/announce"))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, aria2, "--no-conf", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false",
		"--enable-peer-exchange=false", "--disable-ipv6=true", "--interface=127.0.0.1", "--seed-time=0",
		"--check-integrity=true", "--file-allocation=none", fmt.Sprintf("--listen-port=%d", closedPort(t)), "--dir="+into, file)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("aria2c: %v\n%s", err, out)
	}
	p.arrived(t, filepath.Join(into, "luna"))
}
