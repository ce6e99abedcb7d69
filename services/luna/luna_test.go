package luna_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/luna-hpc/luna/pkg/broker"
	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/secret"
	"github.com/luna-hpc/luna/services/bootscript"
	imagepacker "github.com/luna-hpc/luna/services/image-packer"
	"github.com/luna-hpc/luna/services/inventory"
	"github.com/luna-hpc/luna/services/luna"
	"github.com/luna-hpc/luna/services/power"
	"github.com/luna-hpc/luna/services/power/bmctest"
)

func main() { os.Exit(luna.Main(luna.Words(os.Args), os.Stdin, os.Stdout, os.Stderr)) }

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"luna": main, "lpower": main, "lchroot": main,
	})
}

// TestSessions runs the sessions in testdata against a bus of their own with
// the services that own objects, all with their deployed rights.
func TestSessions(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", Cmds: map[string]func(*testscript.TestScript, bool, []string){"boots": boots, "told": told, "known": known},
		Setup: func(env *testscript.Env) error { return start(t, env) }})
}

// TestPower runs the sessions that need controllers: three, and one that is dead.
func TestPower(t *testing.T) {
	vars := map[string]string{"DEAD": bmctest.Address(3)}
	for i := range 3 {
		vars[fmt.Sprint("BMC", i+1)] = bmctest.Start(t, bmctest.Address(i), "ladmin", "c0rrect-h0rse").Address
	}
	bmctest.Dead(t, vars["DEAD"], bmctest.Port)
	testscript.Run(t, testscript.Params{Dir: "testdata/bmc", Setup: func(env *testscript.Env) error {
		for name, value := range vars {
			env.Setenv(name, value)
		}
		return start(t, env)
	}})
}

func start(t *testing.T, env *testscript.Env) error {
	dir := filepath.Join(env.WorkDir, ".head")
	public, err := broker.Keys(filepath.Join(dir, "keys"))
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	srv, err := broker.Start(broker.Options{Listen: "127.0.0.1:0", Store: filepath.Join(dir, "nats"), Public: public, Log: log})
	if err != nil {
		return err
	}
	env.Defer(srv.Shutdown)
	env.Setenv("LUNA_NATS", srv.ClientURL())
	env.Setenv("LUNA_CREDS", broker.KeyFile(filepath.Join(dir, "keys"), "operator"))
	env.Setenv("TREE", fakeTree(t))
	env.Setenv("HEAD", dir)
	connect := func(user string) *bus.Conn {
		c, err := bus.Connect(bus.Options{InProcess: srv, User: user, KeyFile: broker.KeyFile(filepath.Join(dir, "keys"), user), Log: log})
		if err != nil {
			t.Fatal(err)
		}
		env.Defer(c.Close)
		return c
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := bus.Setup(ctx, connect("setup").JS, 1); err != nil {
		return err
	}
	agent := filepath.Join(dir, "luna-agent")
	if err := os.WriteFile(agent, []byte("#!"), 0o755); err != nil {
		return err
	}
	packer := imagepacker.Default()
	packer.Agent = agent
	sealing := filepath.Join(dir, "secret.key")
	if _, err := secret.MakeKey(sealing); err != nil {
		return err
	}
	deps := func(user string) run.Deps {
		return run.Deps{Log: log, Bus: connect(user), SecretKey: sealing, Data: dir, Head: "head", Metrics: prometheus.NewRegistry()}
	}
	inv, err := inventory.New(inventory.Default(), deps("inventory"))
	if err != nil {
		return err
	}
	pack, err := imagepacker.New(packer, deps("image-packer"))
	if err != nil {
		return err
	}
	switched := power.Default()
	switched.Timeout = 3 * time.Second
	pow, err := power.New(switched, deps(power.Name))
	if err != nil {
		return err
	}
	env.Values["deps"] = deps
	env.Values["bootscript"], env.Values["operator"] = connect("bootscript"), connect("operator")
	env.Values["boots"] = func() error {
		// On an address of its own, where no other test has the boot service's port.
		addr := fmt.Sprintf("127.%d.%d.%d", 64+rand.IntN(64), rand.IntN(256), 1+rand.IntN(254))
		task, err := bootscript.New(bootscript.Config{Address: addr, TFTP: addr + ":0"}, deps("bootscript"))
		if err != nil {
			return err
		}
		return runAll(t, env, task)
	}
	return runAll(t, env, inv, pack, pow)
}

// runAll runs tasks until the session ends and waits until they are ready.
func runAll(t *testing.T, env *testscript.Env, tasks ...run.Task) error {
	ctx, cancel := context.WithCancel(context.Background())
	all := run.NewGroup("services", tasks...)
	done := make(chan error, 1)
	go func() { done <- all.Run(ctx) }()
	env.Defer(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	for range 500 {
		if all.Ready() == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return all.Ready()
}

// fakeTree is a directory that looks like an image with a kernel.
func fakeTree(t *testing.T) string {
	dir := t.TempDir()
	plant(t, dir, "6.1.0-1-amd64")
	return dir
}

// plant makes a directory look like an image with a kernel.
func plant(t *testing.T, dir, version string) {
	t.Helper()
	for name, text := range map[string]string{"boot/vmlinuz-" + version: "kernel", "lib/modules/" + version + "/modules.dep": ""} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
