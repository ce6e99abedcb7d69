package netfile

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/luna-hpc/luna/pkg/testenv"
)

// laid returns the root of an image with a network written, and what Write said.
func laid(t *testing.T, files []txtar.File, network []byte) (dir string, err error) {
	t.Helper()
	tree, dir := image(t, files)
	n, err := Parse(bytes.NewReader(network))
	if err != nil {
		t.Fatal(err)
	}
	plans, globErr := filepath.Glob(filepath.Join(dir, netplanDir, "*"))
	if globErr != nil {
		t.Fatal(globErr)
	}
	for _, file := range plans {
		if err := os.Chmod(file, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err = n.Write(tree, usual)
	return dir, err
}

// run runs a program that must end well and returns what it says.
func run(t *testing.T, input []byte, command ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), testenv.Program(t, command[0]), command[1:]...)
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %v\n%s", command, err, out)
	}
	return string(out)
}

// TestNetplanTakesEveryNetwork lets netplan read each network and checks that
// what it makes for the backend has all addresses.
func TestNetplanTakesEveryNetwork(t *testing.T) {
	for _, img := range []string{"netplan", "netplan-nm"} {
		for _, network := range networks(t) {
			dir, err := laid(t, images(t)[img], network.Data)
			if err != nil {
				continue // TestEveryManager has what is refused.
			}
			if said := run(t, nil, "netplan", "generate", "--root-dir", dir); said != "" {
				t.Errorf("%s, %s: netplan says %s", img, network.Name, said)
			}
			var made strings.Builder
			for _, pattern := range []string{"run/systemd/network/*", "run/NetworkManager/system-connections/*"} {
				files, err := filepath.Glob(filepath.Join(dir, pattern))
				if err != nil {
					t.Fatal(err)
				}
				for _, file := range files {
					data, err := os.ReadFile(file)
					if err != nil {
						t.Fatal(err)
					}
					made.Write(data)
				}
			}
			for _, address := range addressesOf(t, network.Data) {
				if !strings.Contains(made.String(), address) {
					t.Errorf("%s, %s: netplan made nothing with %s", img, network.Name, address)
				}
			}
			if got := run(t, nil, "netplan", "get", "--root-dir", dir, "network.version"); strings.TrimSpace(got) != "2" {
				t.Errorf("%s, %s: netplan get says %q", img, network.Name, got)
			}
		}
	}
}

func addressesOf(t *testing.T, network []byte) []string {
	t.Helper()
	n, err := Parse(bytes.NewReader(network))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, i := range n.Interfaces {
		all = append(all, texts(i.Addresses)...)
	}
	return all
}

// TestNetplanPrefersOurs lets netplan merge our file with those of an image that
// was grabbed: networkd takes the first file that matches a card.
func TestNetplanPrefersOurs(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/cases/netplan-cloud-init.txtar")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := laid(t, archive.Files, find(archive.Files, "network.json"))
	if err != nil {
		t.Fatal(err)
	}
	run(t, nil, "netplan", "generate", "--root-dir", dir)
	made, err := filepath.Glob(filepath.Join(dir, "run/systemd/network/*.network"))
	if err != nil || len(made) < 2 {
		t.Fatalf("netplan made %v, %v", made, err)
	}
	for n, wanted := range []string{"10-netplan-00-luna-BOOTIF.network", "10-netplan-00-luna-ens4.network", "10-netplan-all-en.network"} {
		if filepath.Base(made[n]) != wanted {
			t.Errorf("file %d is %s, want %s", n, made[n], wanted)
		}
	}
	bond, err := os.ReadFile(filepath.Join(dir, "run/systemd/network/10-netplan-bond0.network"))
	if err != nil || strings.Contains(string(bond), "192.0.2.7") || !strings.Contains(string(bond), "10.30.0.1/16") {
		t.Errorf("the bond has %s, %v", bond, err)
	}
}

// TestNetworkManagerTakesEveryProfile lets nmcli read each profile.
func TestNetworkManagerTakesEveryProfile(t *testing.T) {
	for _, network := range networks(t) {
		dir, err := laid(t, images(t)["networkmanager"], network.Data)
		if err != nil {
			continue
		}
		files, err := filepath.Glob(filepath.Join(dir, keyfileDir, "*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: profiles %v, %v", network.Name, files, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := run(t, data, "nmcli", "--offline", "connection", "modify", "connection.id", "read")
			for line := range strings.Lines(string(data)) {
				key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
				if line == "stp=true\n" || line == "auto-negotiate=false\n" {
					continue // What is so anyway it does not write.
				}
				if key == "gateway" && strings.Contains(got, ","+value+"\n") {
					continue // nmcli writes it behind the address.
				}
				if ok && key != "id" && !strings.Contains(got, "\n"+key+"=") {
					t.Errorf("%s, %s: nmcli does not know %s:\n%s", network.Name, filepath.Base(file), line, got)
				}
			}
		}
	}
}
