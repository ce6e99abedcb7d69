package imagepacker_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/pkg/treetest"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
	imagepacker "github.com/luna-hpc/luna/services/image-packer"
)

// newHost is a running host, a tree behind OpenSSH's sshd, and a packer that may grab it.
func newHost(t *testing.T) (r *room, host string, sshd *testenv.SSHD) {
	t.Helper()
	host = t.TempDir()
	treetest.System(t, host)
	sshd = testenv.StartSSHD(t, host)
	r = newRoomWith(t, t.TempDir(), imagepacker.Config{Agent: testenv.Agent(t), Keep: 3, SSHKey: sshd.Key, KnownHosts: []string{sshd.KnownHosts}, SSHPort: sshd.Port})
	return r, host, sshd
}

// grab grabs the host and returns the ended job.
func (r *room) grab(sshd *testenv.SSHD, change func(*imagepackerv1.OsimageGrabRequest)) *jobv1.Job {
	r.Helper()
	req := &imagepackerv1.OsimageGrabRequest{Name: "compute", Host: sshd.Host}
	if change != nil {
		change(req)
	}
	ctx := r.within()
	for {
		rep, err := bus.Request(ctx, r.conn, subject.Command("image-packer", "osimage", "grab"), req, &jobv1.JobReply{})
		if err == nil {
			return r.ended(rep.JobId)
		}
		if ctx.Err() != nil {
			r.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond) // the packer does not know the image yet
	}
}

// leftInImage is what a grab of testenv.Tree does not bring: private, made by a running system, or not asked for.
var leftInImage = []string{"/proc", "/sys/*", "/dev", "/run", "/tmp/*", "/etc/ssh/ssh_host_*", "/etc/machine-id", "/var/log/messages"}

// differences asks rsync in what the image is not as the host.
func (r *room) differences(host string) string {
	r.Helper()
	args := []string{host, r.tree}
	for _, e := range leftInImage {
		args = append(args, "--exclude="+e)
	}
	return testenv.Shell(r, `from=$1 to=$2; shift 2; rsync -aHAXSxni --delete --numeric-ids "$@" "$from/" "$to/"`, args...)
}

func TestGrabOfARunningHost(t *testing.T) {
	r, host, sshd := newHost(t)
	before := r.differences(host)
	dry := r.grab(sshd, func(q *imagepackerv1.OsimageGrabRequest) { q.DryRun = true })
	if dry.State != jobv1.State_STATE_DONE || !strings.Contains(strings.Join(dry.Notes, "\n"), "+ usr/bin/ping\n") {
		t.Fatalf("dry run: %v", dry)
	}
	if now := r.differences(host); now != before {
		t.Errorf("a dry run changed the image:\n%s", now)
	}
	if j := r.grab(sshd, nil); j.State != jobv1.State_STATE_DONE {
		t.Fatalf("grab: %v", j)
	}
	if left := r.differences(host); left != "" {
		t.Errorf("rsync would still change:\n%s", left)
	}
	for _, name := range []string{"etc/ssh/ssh_host_ed25519_key", "etc/machine-id"} {
		if _, err := os.Lstat(filepath.Join(r.tree, name)); err == nil {
			t.Errorf("%s is in the image", name)
		}
	}
	// The agent was in /run, which is a file system of its own elsewhere.
	again := r.grab(sshd, func(q *imagepackerv1.OsimageGrabRequest) { q.Verbose = true })
	if strings.Join(again.Notes, "\n") != "~ run (time)\n0 created, 1 changed, 0 deleted; 0.0 MB of files came" {
		t.Errorf("a second grab: %v", again)
	}
	if left, err := os.ReadDir(filepath.Join(host, "run")); err != nil || len(left) > 0 {
		t.Errorf("left in /run of the host: %v, %v", left, err)
	}
}

func TestGrabChecksTheHostKey(t *testing.T) {
	r, _, sshd := newHost(t)
	right, err := os.ReadFile(sshd.KnownHosts)
	must(t, err)
	before, err := os.ReadDir(r.tree)
	must(t, err)
	other := strings.Fields(testenv.Shell(t, `ssh-keygen -q -t ed25519 -N '' -f "$1" && cat "$1.pub"`, filepath.Join(t.TempDir(), "key")))[1]
	words := strings.Fields(string(right))
	for text, want := range map[string]string{words[0] + " ssh-ed25519 " + other + "\n": "is not the one in " + sshd.KnownHosts + " line 1", "": "is not known: it is not in " + sshd.KnownHosts} {
		must(t, os.WriteFile(sshd.KnownHosts, []byte(text), 0o600))
		for _, accept := range []bool{false, true} {
			j := r.grab(sshd, func(q *imagepackerv1.OsimageGrabRequest) { q.DryRun, q.AcceptHostKey = true, accept })
			if accept && text == "" {
				if j.State != jobv1.State_STATE_DONE || !strings.Contains(strings.Join(j.Notes, "\n"), "was taken without being known") {
					t.Errorf("accepted: %v", j)
				}
				continue
			}
			if j.State != jobv1.State_STATE_FAILED || !strings.Contains(j.Error, want) || fault.FromCode(int(j.ErrorCode)) != fault.Conflict {
				t.Errorf("got %v, want %q", j, want)
			}
		}
	}
	if after, err := os.ReadDir(r.tree); err != nil || len(after) != len(before) {
		t.Errorf("%v, %v", after, err)
	}
}
