// Command luna-setup prepares a head: `luna-setup keys` makes the users' keys, the
// server's keys.conf and cluster.conf, the key of the secrets and empty configuration
// files; `luna-setup streams` makes streams and buckets; `luna-setup rights` prints
// the server's rights.conf.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/google/renameio/v2"

	"github.com/luna-hpc/luna/pkg/broker"
	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/secret"
)

func main() {
	if err := setup(); err != nil {
		fmt.Fprintln(os.Stderr, "luna-setup:", err)
		os.Exit(1)
	}
}

func setup() error {
	var (
		dir      = flag.String("keys", "/etc/luna/keys", "`directory` of the users' keys")
		files    = flag.String("config", "/etc/luna", "`directory` of the services' configuration files")
		conf     = flag.String("conf", "/etc/luna/nats/keys.conf", "server configuration `file` to write")
		creds    = flag.String("creds", "/etc/luna/operator.creds", "`file` that gets the operator's key")
		sealing  = flag.String("secret-key", "/etc/luna/secret.key", "`file` that gets the key of the secrets, unless it is there")
		address  = flag.String("address", "", "this head's `address`, when there are several")
		heads    = flag.String("heads", "", "`addresses` of all heads with commas, when there are several")
		url      = flag.String("nats", "nats://127.0.0.1:4222", "`URL` of the bus")
		replicas = flag.Int("replicas", 1, "`copies` of each stream: 1, or 3 with three heads")
		wait     = flag.Duration("wait", 10*time.Minute, "how `long` to wait for the bus")
	)
	flag.CommandLine.Usage = usage
	if len(os.Args) < 2 {
		usage()
		return fmt.Errorf("say keys, streams or rights")
	}
	if err := flag.CommandLine.Parse(os.Args[2:]); err != nil {
		return err
	}
	switch os.Args[1] {
	case "keys":
		if err := makeKeys(*dir, *conf, *creds, *sealing, *files); err != nil {
			return err
		}
		return makeCluster(*dir, filepath.Join(filepath.Dir(*conf), "cluster.conf"), *address, *heads)
	case "rights":
		fmt.Print(broker.RightsConf())
		return nil
	case "streams":
		return makeStreams(*dir, *url, *replicas, *wait)
	}
	return fmt.Errorf("%q is not keys, streams or rights", os.Args[1])
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: luna-setup keys|streams|rights [flags]")
	flag.PrintDefaults()
}

func makeKeys(dir, conf, creds, sealing, files string) error {
	public, err := broker.Keys(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(conf), 0o755); err != nil {
		return err
	}
	if err := renameio.WriteFile(conf, []byte(broker.KeysConf(public)), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", conf, err)
	}
	if _, err := secret.MakeKey(sealing); err != nil {
		return err
	}
	if err := makeConfigs(files, public); err != nil {
		return err
	}
	seed, err := os.ReadFile(broker.KeyFile(dir, "operator"))
	if err != nil {
		return err
	}
	return renameio.WriteFile(creds, seed, 0o600)
}

// makeCluster writes the part of the server's configuration that differs from
// head to head. Without heads a file that is there stays.
func makeCluster(keys, conf, address, heads string) error {
	if heads == "" {
		if _, err := os.Stat(conf); err == nil {
			return nil
		}
		return renameio.WriteFile(conf, []byte(broker.ServerConf()), 0o600)
	}
	text, err := broker.ClusterConf(keys, address, strings.Split(heads, ","))
	if err != nil {
		return err
	}
	return renameio.WriteFile(conf, []byte(text), 0o600)
}

// makeConfigs makes the configuration files that are missing, so that each can be mounted alone.
func makeConfigs(dir string, users map[string]string) error {
	for user := range users {
		if user == "setup" || user == "operator" {
			continue
		}
		f, err := os.OpenFile(filepath.Join(dir, user+".yaml"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(f, "# Configuration of luna-%s. What is not set here has its default.\n", user)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

func makeStreams(dir, url string, replicas int, wait time.Duration) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	log, err := run.Logger("info")
	if err != nil {
		return err
	}
	conn, err := bus.Connect(bus.Options{URL: url, User: "setup", KeyFile: broker.KeyFile(dir, "setup"), Log: log})
	if err != nil {
		return err
	}
	defer conn.Close()
	return bus.SetupWhenUp(ctx, conn, replicas)
}
