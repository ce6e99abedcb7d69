package agent_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/luna-hpc/luna/pkg/release"
	bootscript "github.com/luna-hpc/luna/proto/bootscript/v1"
)

// installScript is what a head gives; the node is diskless.
const installScript = `#!/bin/bash
export LUNA_OSIMAGE='compute'
luna-agent step prescript <<'LUNA_EOF_prescript' || exit 1
echo prescript of $LUNA_NODE on $LUNA_BOOTIF for $LUNA_OSIMAGE
dig +short head.cluster @127.0.0.1 +time=1 +tries=1
false
ls /dev/disk; lsmod | head -3
LUNA_EOF_prescript
luna-agent step partscript <<'LUNA_EOF_partscript' || exit 1
mount -t tmpfs -o size=90%%,mode=0755 tmpfs /sysroot
LUNA_EOF_partscript
luna-agent payload --manifest %[1]s --torrent %[2]s || exit 1
luna-agent identity <<'LUNA_EOF_identity' || exit 1
{"node":"node001","hostname":"node001.cluster","machine_id":"0123456789abcdef0123456789abcdef","hosts":[{"address":"10.0.2.15","names":["node001.cluster","node001"]}]}
LUNA_EOF_identity
luna-agent network <<'LUNA_EOF_network' || exit 1
{"interfaces":[{"name":"BOOTIF","mac":"52:54:00:00:00:01","addresses":["10.0.2.15/24"],"gateway":"10.0.2.2","mtu":0,"options":""}],"dns":["10.0.2.3"],"search":["cluster"]}
LUNA_EOF_network
luna-agent step postscript <<'LUNA_EOF_postscript' || exit 1
echo "tmpfs / tmpfs defaults 0 0" >/sysroot/etc/fstab
printf '[Service]\nType=oneshot\nExecStart=/bin/sh -c "echo UP $(hostname) $$(cat /etc/machine-id) $$(ip -o -4 addr show | grep -o 10.0.2.15/24) $$(findmnt -no FSTYPE /) $$(ls /run/luna) END >/dev/console"\n[Unit]\nAfter=network-online.target\nWants=network-online.target\n' >/sysroot/etc/systemd/system/up.service
ln -s ../up.service /sysroot/etc/systemd/system/multi-user.target.wants/up.service
LUNA_EOF_postscript
luna-agent finish || exit 1
`

// smokeHead is a head with one release.
type smokeHead struct {
	t       *testing.T
	files   map[string][]byte
	payload string
	mu      sync.Mutex
	away    int // requests for the script that it leaves unanswered
	reports []string
	digest  release.Digest
}

func (h *smokeHead) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if name, ok := strings.CutPrefix(r.URL.Path, "/payload/"); ok {
		http.ServeFile(w, r, filepath.Join(h.payload, filepath.Base(name)))
		return
	}
	if r.URL.Query().Get("step") == "report" {
		h.report(w, r)
		return
	}
	key := r.URL.Path
	if r.URL.Query().Get("step") == "install" {
		key = "script"
		h.mu.Lock()
		h.away--
		away := h.away >= 0
		h.mu.Unlock()
		if away {
			http.Error(w, "the head starts", http.StatusServiceUnavailable)
			return
		}
	}
	data, ok := h.files[key]
	if !ok {
		http.Error(w, "there is no "+key, http.StatusNotFound)
		return
	}
	w.Write(data)
}

func (h *smokeHead) report(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var report bootscript.Report
	if err == nil {
		err = protojson.Unmarshal(body, &report)
	}
	if err != nil || r.Header.Get("Authorization") != "Bearer tok" || report.GetBootId() != "boot1" {
		h.t.Errorf("report %s: %v", body, err)
	}
	h.t.Logf("report %s", body)
	h.mu.Lock()
	defer h.mu.Unlock()
	step := report.GetName() + " " + strings.TrimPrefix(report.GetState().String(), "STATE_")
	h.reports = append(h.reports, step)
	io.WriteString(w, "ok")
}

// TestBootInQEMU boots a diskless node. LUNA_TEST_IMAGE is an image's folder,
// LUNA_TEST_INITRD the initrd packed of it with the agent.
func TestBootInQEMU(t *testing.T) {
	image, initrd := os.Getenv("LUNA_TEST_IMAGE"), os.Getenv("LUNA_TEST_INITRD")
	if image == "" || initrd == "" {
		t.Skip("LUNA_TEST_IMAGE and LUNA_TEST_INITRD are not set")
	}
	kernels, err := filepath.Glob(image + "/boot/vmlinuz-*")
	if err != nil || len(kernels) == 0 {
		t.Fatalf("no kernel in %s: %v", image, err)
	}
	h := newSmokeHead(t, image)
	server := httptest.NewServer(h)
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	// Under QEMU's own network the host's loopback is 10.0.2.2.
	line := fmt.Sprintf("root=luna luna.bootproto=static luna.mac=52:54:00:00:00:01 luna.ip=10.0.2.15/24 luna.gw=10.0.2.2 luna.dns=10.0.2.3 "+
		"luna.url=http://10.0.2.2:%s/luna luna.node=node001 luna.hostname=node001.cluster luna.service=0 luna.boot=boot1 luna.token=tok "+
		"luna.manifest=%s luna.time=%d luna.future=1 console=ttyS0", port, h.digest, time.Now().Add(time.Hour).Unix())
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048",
		"-nodefaults", "-nographic", "-serial", "stdio", "-device", "virtio-rng-pci", "-no-reboot",
		"-nic", "user,model=virtio-net-pci,mac=52:54:00:00:00:01", "-kernel", kernels[0], "-initrd", initrd, "-append", line)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	up := ""
	lines := bufio.NewScanner(out)
	for up == "" && lines.Scan() {
		text := lines.Text()
		t.Log(text)
		if strings.Contains(text, "luna: error: the node is not installed") && strings.Contains(text, "install.") {
			break
		}
		if i := strings.Index(text, "UP "); i >= 0 && strings.HasSuffix(strings.TrimSpace(text), "END") {
			up = strings.TrimSpace(text[i:])
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if want := "UP node001.cluster 0123456789abcdef0123456789abcdef 10.0.2.15/24 tmpfs END"; up != want {
		t.Errorf("the node says %q, want %q", up, want)
	}
	want := []string{
		"agent.start OK", "agent.network OK", "agent.sshd OK", "install.request FAILED", "install.request OK",
		"install.prescript STARTED", "install.prescript OK", "install.partscript STARTED", "install.partscript OK",
		"install.download STARTED", "install.unpack STARTED", "install.download OK", "install.unpack OK",
		"install.setnet STARTED", "install.setnet OK", "install.postscript STARTED", "install.postscript OK", "install.success OK",
	}
	if got := strings.Join(h.reports, ", "); got != strings.Join(want, ", ") {
		t.Errorf("the head heard %s", got)
	}
}
