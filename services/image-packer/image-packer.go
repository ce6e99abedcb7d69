// Package imagepacker is the service that turns directories into releases
// which nodes can boot.
package imagepacker

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/outbox"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/services/image-packer/internal/bench"
	"github.com/luna-hpc/luna/services/image-packer/internal/keep"
	"github.com/luna-hpc/luna/services/image-packer/internal/pack"
	"github.com/luna-hpc/luna/services/image-packer/internal/remote"
	"github.com/luna-hpc/luna/services/image-packer/internal/yard"
)

// Name is the service's name on the bus and of its folder.
const Name = "image-packer"

// Config says where things are.
type Config struct {
	// Agent is the file of the node agent; beside this program when it is not there.
	Agent string `yaml:"agent"`
	// Quick packs initrds in a few seconds instead of a minute; they are a fifth larger.
	Quick bool `yaml:"quick"`
	// Keep is how many releases of an image are kept.
	Keep int `yaml:"keep"`
	// SSHKey is the file of the private key that running nodes let in; the usual ones in /root/.ssh when empty.
	SSHKey string `yaml:"ssh_key"`
	// KnownHosts are files of host keys, beside those that nodes have told.
	KnownHosts []string `yaml:"known_hosts"`
	// SSHPort is where nodes answer.
	SSHPort int `yaml:"ssh_port"`
}

// sshHome is root's.
const sshHome = "/root/.ssh"

// Default returns the configuration of a service without a file.
func Default() Config {
	return Config{Agent: "/usr/share/luna/luna-agent", Keep: 3, SSHPort: 22, KnownHosts: []string{sshHome + "/known_hosts", "/etc/ssh/ssh_known_hosts"}}
}

// New returns the service.
func New(cfg Config, d run.Deps) (run.Task, error) {
	if cfg.Keep < 1 {
		return nil, fmt.Errorf("keep must be 1 or more releases, not %d", cfg.Keep)
	}
	agent, err := findAgent(cfg.Agent)
	if err != nil {
		return nil, err
	}
	dir, err := d.Dir(Name)
	if err != nil {
		return nil, err
	}
	payload, err := d.Dir("payload")
	if err != nil {
		return nil, err
	}
	index, work, err := folders(dir)
	if err != nil {
		return nil, err
	}
	half, err := yard.Open(filepath.Join(dir, "half"), d.Log)
	if err != nil {
		return nil, err
	}
	state, err := projection.Open(filepath.Join(dir, "state.db"), d.Bus, d.Log, catalog.Fold(catalog.Cluster, catalog.Osimage, catalog.Network, catalog.Group, catalog.Node), keep.Fold())
	if err != nil {
		return nil, err
	}
	out, err := outbox.Open(filepath.Join(dir, "outbox.db"), d.Bus, d.Log, bench.Applied(state))
	if err != nil {
		return nil, err
	}
	out.Collect(d.Metrics)
	files, err := openFiles(dir, payload, index, d.Bus)
	if err != nil {
		return nil, err
	}
	out.Before(files.Upload)
	b := &bench.Bench{
		Conn: d.Bus, Log: d.Log, State: state, Out: out, Shelf: keep.NewShelf(state, out), Keep: cfg.Keep, Yard: half,
		Packer: &pack.Packer{Payload: payload, Index: index, Work: work, Agent: agent, Quick: cfg.Quick, Files: files, Head: d.Head},
		Access: remote.Access{Key: cfg.SSHKey, Home: sshHome, KnownHosts: cfg.KnownHosts, Port: cfg.SSHPort},
	}
	commands := bus.NewService(d.Bus, Name, "images packed into releases", append(b.Endpoints(), out.Endpoint(d.Head))...)
	return run.NewGroup(Name, state, out, b, commands), nil
}

// openFiles opens what packs have stored, without what killed ones left half made. The state is open: no other packer is.
func openFiles(dir, payload, index string, conn *bus.Conn) (*keep.Files, error) {
	if err := release.ClearAbandoned(payload, index); err != nil {
		return nil, fmt.Errorf("remove what killed packs left: %w", err)
	}
	return keep.OpenFiles(filepath.Join(dir, "files"), conn)
}

// folders makes the folder of what packs remember, and an empty one to work in.
func folders(dir string) (index, work string, err error) {
	index, work = filepath.Join(dir, "index"), filepath.Join(dir, "work")
	if err := os.RemoveAll(work); err != nil {
		return "", "", fmt.Errorf("empty work directory: %w", err)
	}
	for _, d := range []string{index, work} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return "", "", fmt.Errorf("make directory: %w", err)
		}
	}
	return index, work, nil
}

// findAgent returns the configured file, or luna-agent beside the running program.
func findAgent(configured string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	beside := filepath.Join(filepath.Dir(self), "luna-agent")
	for _, f := range []string{configured, beside} {
		if info, err := os.Stat(f); err == nil && info.Mode().IsRegular() {
			return f, nil
		}
	}
	return "", fmt.Errorf("the node agent is neither at %s nor at %s; say agent: FILE", configured, beside)
}
