package imagepacker_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/pkg/wire"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
	imagepacker "github.com/luna-hpc/luna/services/image-packer"
)

// object puts an object into the inventory.
func (r *room) object(noun, id string, m proto.Message) {
	r.Helper()
	data, err := wire.Marshal(m)
	must(r.T, err)
	_, err = r.srv.Connect(r.T, "inventory").JS.Publish(r.within(), subject.Object(noun, id), data)
	must(r.T, err)
}

// push pushes and returns the ended job.
func (r *room) push(change func(*imagepackerv1.OsimagePushRequest)) *jobv1.Job {
	r.Helper()
	req := &imagepackerv1.OsimagePushRequest{Name: "compute", Nodes: []string{"node[001-002]"}}
	change(req)
	for ctx := r.within(); ; time.Sleep(20 * time.Millisecond) { // the last job is just ending
		rep, err := bus.Request(ctx, r.conn, subject.Command("image-packer", "osimage", "push"), req, &jobv1.JobReply{})
		if err == nil {
			return r.ended(rep.JobId)
		}
		if ctx.Err() != nil {
			r.Fatal(err)
		}
	}
}

// newNode is a packer whose image lies on node001, a tree behind OpenSSH's sshd; node002 boots it too and is off.
func newNode(t *testing.T) (r *room, node string) {
	t.Helper()
	node = t.TempDir()
	sshd := testenv.StartSSHD(t, node)
	r = newRoomWith(t, t.TempDir(), imagepacker.Config{Agent: testenv.Agent(t), Keep: 3, SSHKey: sshd.Key, KnownHosts: []string{sshd.KnownHosts}, SSHPort: sshd.Port})
	r.object("network", "N", &inventoryv1.Network{Id: "N", Name: "loop", Cidr: "127.0.0.0/8"})
	r.object("group", "G", &inventoryv1.Group{Id: "G", Name: "all", OsimageId: "O"})
	for name, address := range map[string]string{"node001": sshd.Host, "node002": "127.77.77.77"} {
		r.object("node", name, &inventoryv1.Node{Id: name, Name: name, GroupId: "G",
			Addresses: []*inventoryv1.NodeAddress{{Interface: "BOOTIF", NetworkId: "N", Address: address}}})
	}
	r.write("etc/motd", []byte("old\n"))
	r.write("etc/gone", []byte("old\n"))
	r.write("etc/hostname", []byte("image\n"))
	if j := r.pack(); j.State != jobv1.State_STATE_DONE {
		t.Fatal(j)
	}
	testenv.Shell(t, `cp -a "$1/." "$2/"; echo node001 >"$2/etc/hostname"; echo own >"$2/etc/own"`, r.tree, node)
	return r, node
}

func (r *room) wantFiles(node string, want map[string]string) {
	r.Helper()
	for name, text := range want {
		if got, _ := os.ReadFile(filepath.Join(node, name)); string(got) != text {
			r.Errorf("%s is %q, want %q", name, got, text)
		}
	}
}

func TestPushToARunningNode(t *testing.T) {
	r, node := newNode(t)
	first := r.releases().Current
	r.write("etc/motd", []byte("new release\n"))
	r.write("etc/hostname", []byte("image, changed\n"))
	must(t, os.Remove(filepath.Join(r.tree, "etc/gone")))
	if j := r.pack(); j.State != jobv1.State_STATE_DONE {
		t.Fatal(j)
	}
	j := r.push(func(*imagepackerv1.OsimagePushRequest) {})
	if got := j.Results[0].Error + j.Results[1].Error; len(j.Results) != 2 || !strings.Contains(got, "it cannot tell which release it has") || !strings.Contains(got, "does not answer on ssh") {
		t.Errorf("%v", j)
	}
	old := map[string]string{"etc/motd": "old\n", "etc/gone": "old\n", "etc/hostname": "node001\n", "etc/own": "own\n"}
	one := func(q *imagepackerv1.OsimagePushRequest) { q.Nodes, q.From = []string{"node001"}, first }
	dry := r.push(func(q *imagepackerv1.OsimagePushRequest) { one(q); q.DryRun = true })
	if text := dry.Results[0].Text; !strings.Contains(text, "\n  ~ etc/motd (content, time)\n") || !strings.Contains(text, "\n  - etc/gone\n") || strings.Contains(text, "hostname") {
		t.Errorf("dry run: %v", dry)
	}
	r.wantFiles(node, old)
	j = r.push(one)
	if len(j.Results) != 1 || !strings.Contains(j.Results[0].Text, " 1 deleted, 0.0 MB; kernel 6.1 boots with the next boot") {
		t.Errorf("%v", j)
	}
	r.wantFiles(node, map[string]string{"etc/motd": "new release\n", "etc/gone": "", "etc/hostname": "node001\n", "etc/own": "own\n"})
	// The lock stays: another may wait for it.
	if left, err := os.ReadDir(filepath.Join(node, "run")); err != nil || len(left) != 1 || left[0].Name() != "luna-push.lock" {
		t.Errorf("left in /run of the node: %v, %v", left, err)
	}
	// It knows now what it has, and goes back.
	j = r.push(func(q *imagepackerv1.OsimagePushRequest) { q.Nodes = []string{"node001"} })
	if !strings.HasPrefix(j.Results[0].Text, "has it already") {
		t.Errorf("%v", j)
	}
	j = r.push(func(q *imagepackerv1.OsimagePushRequest) { q.Nodes, q.Release = []string{"node001"}, first })
	if j.Results[0].ErrorCode != 0 {
		t.Errorf("%v", j)
	}
	r.wantFiles(node, old)
}

func TestWrongPushesAreRefused(t *testing.T) {
	r, _ := newNode(t)
	r.object("osimage", "P", &inventoryv1.Osimage{Id: "P", Name: "other", Path: r.TempDir(), Head: "head"})
	r.object("node", "node003", &inventoryv1.Node{Id: "node003", Name: "node003", GroupId: "G", OsimageId: proto.String("P")})
	for want, req := range map[string]*imagepackerv1.OsimagePushRequest{
		"in one of three ways":            {Name: "compute"},
		"has no release zz":               {Name: "compute", All: true, Release: "zz"},
		"there is no group":               {Name: "compute", Group: "none"},
		"at most 256 nodes":               {Name: "compute", All: true, Limit: 1000},
		"it was not packed yet":           {Name: "other", All: true},
		"there is no osimage":             {Name: "none", All: true},
		"to which nodes? in one of three": {Name: "compute", All: true, Group: "all"},
	} {
		_, err := bus.Request(r.within(), r.conn, subject.Command("image-packer", "osimage", "push"), req, &jobv1.JobReply{})
		if err == nil || !strings.Contains(err.Error(), want) || fault.KindOf(err) == fault.Internal {
			t.Errorf("%v: %v, want %q", req, err, want)
		}
	}
	j := r.push(func(q *imagepackerv1.OsimagePushRequest) { q.Nodes = []string{"node003,nobody"} })
	for _, x := range j.Results {
		if !strings.Contains("not done: it boots osimage other, there is no such node", x.Error) || x.Error == "" {
			t.Errorf("%v", x)
		}
	}
}
