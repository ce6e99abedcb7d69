package remote

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"
)

// server is a machine that lets everybody in and does what a test says.
type server struct {
	access Access
	host   Host
	key    ssh.PublicKey
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newSigner(t *testing.T) (ssh.Signer, ed25519.PrivateKey) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	signer, err := ssh.NewSignerFromKey(private)
	must(t, err)
	return signer, private
}

// newServer starts a machine which runs do for each command that is to be started there.
func newServer(t *testing.T, do func(command string, c ssh.Channel)) *server {
	t.Helper()
	signer, _ := newSigner(t)
	_, private := newSigner(t)
	block, err := ssh.MarshalPrivateKey(private, "")
	must(t, err)
	key := filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(key, pem.EncodeToMemory(block), 0o600))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	cfg := &ssh.ServerConfig{NoClientAuth: true}
	cfg.AddHostKey(signer)
	go accept(ln, cfg, do)
	t.Cleanup(func() { must(t, ln.Close()) })
	return &server{Access{Key: key, Port: ln.Addr().(*net.TCPAddr).Port}, Host{Name: "bad", Address: "127.0.0.1", Accept: true}, signer.PublicKey()}
}

func accept(ln net.Listener, cfg *ssh.ServerConfig, do func(string, ssh.Channel)) {
	for {
		tcp, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer tcp.Close()
			_, channels, requests, err := ssh.NewServerConn(tcp, cfg)
			if err != nil {
				return
			}
			go ssh.DiscardRequests(requests)
			for c := range channels {
				go serve(c, do)
			}
		}()
	}
}

func serve(asked ssh.NewChannel, do func(string, ssh.Channel)) {
	c, requests, err := asked.Accept()
	if err != nil {
		return
	}
	for r := range requests {
		if r.Type != "exec" {
			continue
		}
		var what struct{ Command string }
		if ssh.Unmarshal(r.Payload, &what) == nil && r.Reply(true, nil) == nil {
			go do(what.Command, c)
		}
	}
}
