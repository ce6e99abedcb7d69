package luna_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/micro"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/services/head"
)

// hand is somebody who has the NATS command line and the operator's key.
type hand struct {
	*testing.T
	program, key string
}

// natsProgram finds the NATS command line that make setup builds.
func natsProgram(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../.tools/bin/nats")
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("run make setup: %v", err)
	}
	return path
}

// do runs the NATS command line.
func (h hand) do(args ...string) string {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, h.program, append([]string{"--server", "nats://127.0.0.1:4222", "--nkey", h.key, "--timeout", "30s"}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+h.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.Fatalf("nats %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// req sends a command.
func (h hand) req(command, body string) string {
	h.Helper()
	return h.do("req", "--raw", "luna.cmd."+command, body)
}

// TestCommandsByHand asks a whole head with the NATS command line: what commands
// there are, what they want, and each of them.
func TestCommandsByHand(t *testing.T) {
	testenv.Root(t)
	testenv.Program(t, "ip")
	program := natsProgram(t)
	if os.Getenv(inside) == "" {
		apart(t)
		return
	}
	h := hand{t, program, ""}
	h.key = h.start()
	for command, schema := range h.commands() {
		body := example(t, schema)
		rep := h.req(command, body)
		if rep == "" || strings.Contains(rep, "in JSON") || strings.Contains(rep, "internal error") {
			t.Errorf("%s %s: %q", command, body, rep)
		}
	}
	source, imported := h.saved(), filepath.Join(h.TempDir(), "imported")
	if rep := h.req("inventory.node.add", `{"gruop":"compute"}`); !strings.Contains(rep, "gruop") {
		t.Errorf("a misspelt field: %s", rep)
	}
	for _, c := range []struct{ command, body, want string }{
		{"inventory.cluster.init", `{"frontend_address":"10.30.255.254"}`, `"revision":`},
		{"inventory.network.add", `{"name":"cluster","network":"10.30.0.0","prefix":16}`, `"cidr":`},
		{"image-packer.osimage.add", `{"name":"compute","path":"` + fakeTree(t) + `"}`, `"kernver":`},
		{"image-packer.osimage.import", `{"name":"imported","source":"` + source + `","path":"` + imported + `"}`, `"job_id":`},
		{"inventory.group.add", `{"name":"compute","osimage":"compute","network":"cluster"}`, `"revision":`},
		{"inventory.node.add", `{"group":"compute"}`, "10.30.0.1"},
		{"inventory.node.change", `{"name":"node001","service":true}`, `"service":`},
		{"inventory.node.change", `{"name":"node009","service":true}`, `there is no node "node009"`},
		{"dns.zone.list", `{}`, "30.10.in-addr.arpa."},
		{"inventory.history.list", `{}`, "inventory.node.change"},
	} {
		if rep := h.req(c.command, c.body); !strings.Contains(rep, c.want) {
			t.Errorf("%s %s: %s", c.command, c.body, rep)
		}
	}
	h.known("imported", imported)
	if rep := h.req("inventory.osimage.show", `{"name":"imported"}`); !strings.Contains(rep, "6.1.0-1-amd64") {
		t.Errorf("the kernel of an imported image is not found: %s", rep)
	}
}

// saved returns a source of an image with a file and a kernel, which umoci made.
func (h hand) saved() string {
	h.Helper()
	layout, tree := filepath.Join(h.TempDir(), "layout"), fakeTree(h.T)
	for _, args := range [][]string{{"init", "--layout", layout}, {"new", "--image", layout + ":v1"}, {"insert", "--image", layout + ":v1", tree, "/"}} {
		if out, err := exec.CommandContext(h.Context(), testenv.Program(h.T, "umoci"), args...).CombinedOutput(); err != nil {
			h.Fatalf("umoci %s: %v: %s", args[0], err, out)
		}
	}
	return "oci:" + layout + ":v1"
}

// known waits until an osimage is in the inventory.
func (h hand) known(name, path string) {
	h.Helper()
	body := `{"name":"` + name + `"}`
	for end := time.Now().Add(time.Minute); !strings.Contains(h.req("inventory.osimage.show", body), path); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			h.Fatalf("%s: %s", name, h.req("inventory.osimage.show", body))
		}
	}
}

// start runs a head with all its services, and returns the file of the operator's key.
func (h hand) start() (key string) {
	h.Helper()
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		h.Fatalf("ip: %v: %s", err, out)
	}
	dir := h.TempDir()
	config := head.Default()
	config.ImagePacker.Agent = filepath.Join(dir, "luna-agent")
	if err := os.WriteFile(config.ImagePacker.Agent, []byte("#!"), 0o700); err != nil {
		h.Fatal(err)
	}
	task, err := head.New(config, run.Deps{Log: slog.New(slog.DiscardHandler), Data: dir, Head: "head", Metrics: prometheus.NewRegistry()})
	if err != nil {
		h.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- task.Run(ctx) }()
	h.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			h.Error(err)
		}
	})
	for range 1000 {
		if err = task.Ready(); err == nil {
			return filepath.Join(dir, "keys", "operator.creds")
		}
		time.Sleep(20 * time.Millisecond)
	}
	h.Fatal(err)
	return ""
}

// commands asks for all commands of all services, with the schemas of their requests.
func (h hand) commands() map[string]map[string]any {
	h.Helper()
	all := map[string]map[string]any{}
	for _, service := range []string{"inventory", "image-packer", "torrent-seeder", "dhcp", "dns", "bootscript", "switch-poller", "power"} {
		var told struct{ Info micro.Info }
		if text := h.do("service", "info", "luna-"+service, "--json"); json.Unmarshal([]byte(text), &told) != nil || len(told.Info.Endpoints) == 0 && service != "torrent-seeder" {
			h.Fatalf("%s has no commands: %.1000s", service, text)
		}
		for _, e := range told.Info.Endpoints {
			var schema map[string]any
			if err := json.Unmarshal([]byte(e.Metadata["schema"]), &schema); err != nil || e.Metadata["request"] == "" || e.Metadata["reply"] == "" {
				h.Errorf("%s: %v %v", e.Subject, err, e.Metadata)
			}
			all[strings.TrimPrefix(e.Subject, "luna.cmd.")] = schema
		}
	}
	if len(all) < 75 {
		h.Errorf("only %d commands", len(all))
	}
	return all
}

// example makes a request of a schema in which every field is as empty as can be.
func example(t *testing.T, schema map[string]any) string {
	t.Helper()
	data, err := json.Marshal(empty(schema))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func empty(schema map[string]any) any {
	if names, ok := schema["enum"].([]any); ok {
		return names[0]
	}
	kind, _ := schema["type"].(string)
	if kinds, ok := schema["type"].([]any); ok {
		kind, _ = kinds[0].(string)
	}
	switch kind {
	case "object":
		all := map[string]any{}
		properties, _ := schema["properties"].(map[string]any)
		for name, p := range properties {
			all[name] = empty(p.(map[string]any))
		}
		return all
	case "array":
		return []any{}
	case "boolean":
		return false
	case "integer", "number":
		return 0
	}
	return ""
}
