package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	bootscript "github.com/luna-hpc/luna/proto/bootscript/v1"
	"github.com/luna-hpc/luna/services/agent"
	"github.com/luna-hpc/luna/services/agent/internal/boot"
	"github.com/luna-hpc/luna/services/agent/internal/control"
)

// node is a node's initrd without its process 1, and the head that it knows.
type node struct {
	t         *testing.T
	run, root string
	mu        sync.Mutex
	reports   []*bootscript.Report
	// secret is what the boot process knows.
	secret  string
	machine *bootscript.Hardware
}

func newNode(t *testing.T) *node {
	t.Helper()
	dir := t.TempDir()
	n := &node{t: t, run: dir + "/run", root: dir + "/sysroot", secret: `{"bmc_password":"hush"}`}
	server := httptest.NewServer(n)
	t.Cleanup(server.Close)
	line := fmt.Sprintf("luna.mac=52:54:00:00:00:01 luna.url=%s/luna luna.node=node001 luna.boot=boot1", server.URL)
	if err := os.WriteFile(dir+"/cmdline", []byte(line), 0o644); err != nil {
		t.Fatal(err)
	}
	n.file("sysroot/etc/hosts", "127.0.0.1 localhost\n", 0o644)
	n.file("bin/ipmitool", "#!/bin/sh\n[ \"$1 $2\" = 'mc info' ] && echo no BMC >&2\nexit 1\n", 0o755)
	for name, value := range map[string]string{
		"LUNA_CMDLINE": dir + "/cmdline", "LUNA_RUN": n.run, "LUNA_SYSROOT": n.root, "PATH": dir + "/bin:" + os.Getenv("PATH"),
	} {
		t.Setenv(name, value)
	}
	return n
}

// file makes a file beside the folders of the node.
func (n *node) file(name, text string, mode os.FileMode) {
	n.t.Helper()
	path := filepath.Join(filepath.Dir(n.run), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		n.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r.URL.Query().Get("step") == "hardware" {
		n.machine = &bootscript.Hardware{}
		body, _ := io.ReadAll(r.Body)
		if err := protojson.Unmarshal(body, n.machine); err != nil {
			n.t.Error(err)
		}
		n.reports = append(n.reports, &bootscript.Report{Name: "hardware"})
		return
	}
	body, err := io.ReadAll(r.Body)
	report := &bootscript.Report{}
	if err == nil {
		err = protojson.Unmarshal(body, report)
	}
	if err != nil || r.URL.Query().Get("node") != "node001" {
		n.t.Errorf("%s %s: %v", r.URL, body, err)
	}
	n.reports = append(n.reports, report)
}

// luna runs the agent with a text on its standard input.
func (n *node) luna(in string, args ...string) (code int, out, errOut string) {
	var o, e bytes.Buffer
	code = agent.Main(append([]string{"luna-agent"}, args...), strings.NewReader(in), &o, &e)
	return code, o.String(), e.String()
}

// heard returns the reports since the last call, and the last of them.
func (n *node) heard() (string, *bootscript.Report) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var words []string
	last := &bootscript.Report{}
	for _, r := range n.reports {
		words = append(words, r.GetName()+" "+strings.TrimPrefix(r.GetState().String(), "STATE_"))
		last = r
	}
	n.reports = nil
	return strings.Join(words, ", "), last
}

func TestStep(t *testing.T) {
	n := newNode(t)
	code, out, _ := n.luna("false\necho hello; echo \"$LUNA_SYSROOT\"\n", "step", "postscript")
	if code != 0 || out != "hello\n"+n.root+"\n" {
		t.Errorf("status %d, said %q", code, out)
	}
	heard, last := n.heard()
	if heard != "install.postscript STARTED, install.postscript OK" || last.GetOutput() != out || last.GetBootId() != "boot1" {
		t.Errorf("heard %s, %v", heard, last)
	}
}

func TestStepFails(t *testing.T) {
	n := newNode(t)
	code, out, errOut := n.luna("echo no disk >&2; exit 3\n", "step", "prescript")
	if code != 1 || out != "no disk\n" || !strings.Contains(errOut, "install.prescript: bash "+n.run+"/prescript.sh: exit status 3") {
		t.Errorf("status %d, said %q, %q", code, out, errOut)
	}
	heard, last := n.heard()
	if heard != "install.prescript STARTED, install.prescript FAILED" || last.GetOutput() != "no disk\n" || !strings.Contains(last.GetError(), "exit status 3") {
		t.Errorf("heard %s, %v", heard, last)
	}
	if why, err := os.ReadFile(n.run + "/failure"); err != nil || !strings.HasPrefix(string(why), "install.prescript: ") {
		t.Errorf("remembered %q, %v", why, err)
	}
}

func TestPartscriptMustLeaveTheRoot(t *testing.T) {
	n := newNode(t)
	t.Setenv("LUNA_SYSROOT", "/proc")
	for root, want := range map[string]string{"tmpfs": "proc of type proc", "cellar": `LUNA_ROOT: root "cellar"`} {
		t.Setenv("LUNA_ROOT", root)
		code, _, errOut := n.luna("true\n", "step", "partscript")
		if code != 1 || !strings.Contains(errOut, want) {
			t.Errorf("root %s: status %d, said %q, want %q", root, code, errOut, want)
		}
	}
}

func TestPartscriptMustMount(t *testing.T) {
	n := newNode(t)
	code, _, errOut := n.luna("true\n", "step", "partscript")
	if code != 1 || !strings.Contains(errOut, "after the script nothing is mounted on "+n.root) {
		t.Errorf("status %d, said %q", code, errOut)
	}
	if heard, _ := n.heard(); heard != "install.partscript STARTED, install.partscript FAILED" {
		t.Errorf("heard %s", heard)
	}
}

func TestIdentityAndNetwork(t *testing.T) {
	n := newNode(t)
	n.file("sysroot/usr/lib/systemd/systemd-networkd", "", 0o755)
	wants := n.root + "/etc/systemd/system/multi-user.target.wants"
	if err := os.MkdirAll(wants, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/lib/systemd/system/systemd-networkd.service", wants+"/systemd-networkd.service"); err != nil {
		t.Fatal(err)
	}
	code, _, errOut := n.luna(`{"node":"node001","hostname":"node001.cluster","machine_id":"0123456789abcdef0123456789abcdef","hosts":[]}`, "identity")
	if code != 0 || !strings.Contains(errOut, `identity written changed="etc/hostname etc/hosts etc/machine-id"`) {
		t.Errorf("status %d, said %q", code, errOut)
	}
	code, _, errOut = n.luna(`{"interfaces":[{"name":"BOOTIF","mac":"52:54:00:00:00:01","addresses":["10.30.0.1/16"],"gateway":"","mtu":0,"options":""}],"dns":["10.30.255.254"],"search":["cluster"]}`, "network")
	if code != 0 || !strings.Contains(errOut, "network written manager=systemd-networkd") {
		t.Errorf("status %d, said %q", code, errOut)
	}
	heard, last := n.heard()
	if heard != "install.setnet STARTED, install.setnet OK" || last.GetValues()["changed"] != "etc/systemd/network/00-luna-BOOTIF.network etc/resolv.conf" {
		t.Errorf("heard %s, %v", heard, last)
	}
	if name, err := os.ReadFile(n.root + "/etc/hostname"); err != nil || string(name) != "node001.cluster\n" {
		t.Errorf("hostname %q, %v", name, err)
	}
}

func TestNetworkWithoutManager(t *testing.T) {
	n := newNode(t)
	code, _, errOut := n.luna(`{"interfaces":[],"dns":[],"search":[]}`, "network")
	if code != 1 || !strings.Contains(errOut, "install.setnet: no network manager is enabled in the image") {
		t.Errorf("status %d, said %q", code, errOut)
	}
	if heard, _ := n.heard(); heard != "install.setnet FAILED" {
		t.Errorf("heard %s", heard)
	}
}

func TestFinishNeedsASystem(t *testing.T) {
	n := newNode(t)
	if code, _, errOut := n.luna("", "finish"); code != 1 || !strings.Contains(errOut, "install.success: nothing is mounted on "+n.root) {
		t.Errorf("status %d, said %q", code, errOut)
	}
	if heard, _ := n.heard(); heard != "install.success FAILED" {
		t.Errorf("heard %s", heard)
	}
}

const bmcConfig = `{"address":"10.50.0.1/16","gateway":"","user":"ladmin","userid":3,"netchannel":1,"mgmtchannel":1,"required":%t}`

// bootProcess answers for the process that knows the boot's secrets.
func (n *node) bootProcess() {
	n.t.Helper()
	l, err := control.Listen(boot.Socket(n.run))
	if err != nil {
		n.t.Fatal(err)
	}
	server := &control.Server{Log: slog.New(slog.DiscardHandler), Handlers: map[string]control.Handler{
		"secret": func(_ context.Context, _ json.RawMessage, send func(any) error) error {
			return send(json.RawMessage(n.secret))
		},
		"flush": func(context.Context, json.RawMessage, func(any) error) error { return errors.New("not now") },
	}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx, l) }()
	n.t.Cleanup(func() { cancel(); <-done })
}

func TestBMCWithoutAnAddress(t *testing.T) {
	n := newNode(t)
	code, _, errOut := n.luna(`{"address":"","gateway":"","user":"ladmin","userid":3,"netchannel":1,"mgmtchannel":1,"required":true,"missing":"the controller has no address"}`, "bmc")
	if code != 1 || !strings.Contains(errOut, "install.setupbmc: the controller has no address") {
		t.Errorf("status %d, said %q", code, errOut)
	}
	if heard, _ := n.heard(); heard != "install.setupbmc STARTED, install.setupbmc FAILED" {
		t.Errorf("heard %s", heard)
	}
}

func TestBMCFailureEndsTheInstallationOnlyWhenRequired(t *testing.T) {
	n := newNode(t)
	n.bootProcess()
	for required, want := range map[bool]int{false: 0, true: 1} {
		code, _, errOut := n.luna(fmt.Sprintf(bmcConfig, required), "bmc")
		if code != want || !strings.Contains(errOut, "the BMC does not answer") || !strings.Contains(errOut, "no BMC") {
			t.Errorf("required %t: status %d, said %q", required, code, errOut)
		}
		if heard, _ := n.heard(); heard != "install.setupbmc STARTED, install.setupbmc FAILED" {
			t.Errorf("heard %s", heard)
		}
	}
}

func TestWrongUsage(t *testing.T) {
	n := newNode(t)
	const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"", 2, "usage: luna-agent COMMAND"},
		{"fly", 2, "usage: luna-agent COMMAND"},
		{"step", 1, "step takes one name"},
		{"step ../x", 1, "step takes one name"},
		{"payload", 1, "payload needs --manifest and --torrent"},
		{"payload --manifest x --torrent " + digest, 1, `digest "x" is not sha256:`},
		{"payload --manifest " + digest + " --torrent " + digest + " more", 1, `argument "more" is too much`},
		{"identity x", 1, `argument "x" is too much`},
	} {
		if code, _, errOut := n.luna("", strings.Fields(c.args)...); code != c.code || !strings.Contains(errOut, c.want) {
			t.Errorf("luna-agent %s: status %d, said %q, want %q", c.args, code, errOut, c.want)
		}
	}
}

func TestOtherNames(t *testing.T) {
	var out, errOut bytes.Buffer
	if code := agent.Main([]string{"/usr/bin/dig", "-x"}, nil, &out, &errOut); code != 1 || !strings.HasPrefix(errOut.String(), "dig: ") {
		t.Errorf("dig: %d, %q", code, &errOut)
	}
	errOut.Reset()
	if code := agent.Main([]string{"nslookup"}, nil, &out, &errOut); code != 1 || !strings.HasPrefix(errOut.String(), "nslookup: ") {
		t.Errorf("nslookup: %d, %q", code, &errOut)
	}
}
