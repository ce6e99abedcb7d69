package remote

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/luna-hpc/luna/pkg/fault"
)

// TestEndlessAnswersAreCutOff connects with a machine that never stops to answer, at each of the questions.
func TestEndlessAnswersAreCutOff(t *testing.T) {
	for _, at := range []string{"uname", "set -u", "rm -rf"} {
		t.Run(at, func(t *testing.T) {
			var sent int
			ended := make(chan struct{})
			s := newServer(t, func(command string, c ssh.Channel) {
				switch {
				case strings.HasPrefix(command, at):
					defer close(ended)
					for err := error(nil); err == nil; sent += 4096 {
						_, err = c.Write(bytes.Repeat([]byte("endless\n"), 512))
					}
				case strings.HasPrefix(command, "uname"):
					end(c, machines[runtime.GOARCH]+"\n")
				case strings.HasPrefix(command, "set -u"):
					go io.Copy(io.Discard, c)
					end(c, "/run/luna.1\n")
				default:
					end(c, "")
				}
			})
			m, err := s.access.Connect(t.Context(), s.host)
			must(t, err)
			defer m.Close()
			agent := filepath.Join(t.TempDir(), "agent")
			must(t, os.WriteFile(agent, nil, 0o700))
			err = m.Run(t.Context(), agent, "tree", func(io.Reader, io.WriteCloser) error { return nil })
			if err == nil || !strings.Contains(err.Error(), "bad answers with more than 65536 bytes, the limit") || fault.KindOf(err) != fault.Unavailable {
				t.Errorf("got %v", err)
			}
			<-ended
			if most := 8 << 20; sent > most { // what ssh takes before it waits
				t.Errorf("%d bytes were taken", sent)
			}
		})
	}
}

// end says something and ends a command well.
func end(c ssh.Channel, text string) {
	_, _ = io.WriteString(c, text)
	_, _ = c.SendRequest("exit-status", false, make([]byte, 4))
	_ = c.Close()
}

// TestRevokedKeysAreRefused revokes the key of a machine, whatever else is known of it.
func TestRevokedKeysAreRefused(t *testing.T) {
	s := newServer(t, func(string, ssh.Channel) {})
	told := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.key)))
	file := filepath.Join(t.TempDir(), "known_hosts")
	s.access.KnownHosts = []string{filepath.Join(t.TempDir(), "absent"), file}
	known := knownhosts.Line([]string{fmt.Sprintf("[127.0.0.1]:%d", s.access.Port)}, s.key)
	for name, h := range map[string]struct {
		host Host
		text string
	}{
		"told":            {Host{Keys: []string{told}}, ""},
		"in the file too": {Host{}, known + "\n"},
		"told, and there": {Host{Keys: []string{told}}, known + "\n"},
		"accepted":        {Host{Accept: true}, ""},
		"of nobody":       {Host{}, ""},
	} {
		h.host.Name, h.host.Address = "node001", "127.0.0.1"
		for _, revoke := range []string{"", "@revoked * " + told + "\n", "@revoked elsewhere " + told + "\n"} {
			must(t, os.WriteFile(file, []byte(h.text+revoke), 0o600))
			m, err := s.access.Connect(t.Context(), h.host)
			if m != nil {
				must(t, m.Close())
			}
			line := 1 + strings.Count(h.text, "\n")
			switch refused := err != nil && fault.KindOf(err) == fault.Conflict && strings.Contains(err.Error(), fmt.Sprintf("is revoked in %s line %d", file, line)); {
			case revoke != "" && !refused:
				t.Errorf("%s, revoked by %q: %v", name, revoke, err)
			case revoke == "" && (err == nil) == (name == "of nobody"):
				t.Errorf("%s, not revoked: %v", name, err)
			}
		}
	}
}

// TestUnreadableHostKeysAreNoLeave: a file that cannot be read may revoke a key.
func TestUnreadableHostKeysAreNoLeave(t *testing.T) {
	s := newServer(t, func(string, ssh.Channel) {})
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	s.access.KnownHosts = []string{filepath.Join(file, "known_hosts")}
	if _, err := s.access.Connect(t.Context(), s.host); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "read host keys") {
		t.Errorf("got %v", err)
	}
}
