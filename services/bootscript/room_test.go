package bootscript

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/natstest"
	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/run"
	"github.com/luna-hpc/luna/pkg/secret"
	"github.com/luna-hpc/luna/pkg/subject"
	"github.com/luna-hpc/luna/pkg/testenv"
	"github.com/luna-hpc/luna/pkg/wire"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

const mac1, mac2 = "52:54:00:00:00:01", "52:54:00:00:00:02"

// room is a head with a boot service, whose node node001 has the address of
// this machine itself, so that the test is the node.
type room struct {
	t   *testing.T
	srv *natstest.Server // nil when the bus is another one
	// connect makes a connection of a user of the bus.
	connect func(user string) *bus.Conn
	// inv, packer and other are the inventory's, the packer's and the operator's.
	inv, packer, other *bus.Conn
	name, address      string
	data               string
	secretKey          string // file
	port               int
	stop               func()
}

func newRoom(t *testing.T) *room {
	srv := natstest.Start(t)
	r := furnish(t, func(user string) *bus.Conn { return srv.Connect(t, user) })
	r.srv = srv
	return r
}

// furnish makes a room on a bus that has its streams.
func furnish(t *testing.T, connect func(user string) *bus.Conn) *room {
	t.Helper()
	return furnishIn(t, t.TempDir(), connect)
}

// furnishIn makes a room whose head keeps its data in a directory.
func furnishIn(t *testing.T, data string, connect func(user string) *bus.Conn) *room {
	r := &room{t: t, connect: connect, name: "head1", address: "127.0.0.1", data: data, port: testenv.FreePorts(t, 1)[0]}
	r.inv, r.packer, r.other = connect("inventory"), connect("image-packer"), connect("operator")
	r.secret("T1", "the key that signs the tokens of boots")
	r.object("cluster", "C1", &inventoryv1.Cluster{Id: "C1", FrontendAddress: "127.0.0.1", FrontendPort: uint32(r.port), ServerPort: 7051, MenuWait: 10, TokenKeyId: "T1"})
	r.object("network", "N1", &inventoryv1.Network{Id: "N1", Name: "cluster", Cidr: "127.0.0.0/8", Gateway: "127.0.0.254", NsHostname: "head", NsIp: "127.0.0.1"})
	r.object("osimage", "O1", &inventoryv1.Osimage{Id: "O1", Name: "compute", Kernopts: "quiet console=ttyS0"})
	r.object("group", "G1", &inventoryv1.Group{Id: "G1", Name: "compute", OsimageId: "O1", Interfaces: []*inventoryv1.Interface{{Name: "BOOTIF", NetworkIds: []string{"N1"}}},
		Partscript: "mount -t tmpfs -o size=90%,mode=0755 tmpfs /sysroot\n"})
	r.node("node001", "127.0.0.1", mac1)
	r.start()
	return r
}

func (r *room) node(name, address, mac string) uint64 {
	id := "id-" + name
	return r.object("node", id, &inventoryv1.Node{Id: id, Name: name, GroupId: "G1", Mac: mac,
		Addresses: []*inventoryv1.NodeAddress{{Interface: catalog.BootIf, NetworkId: "N1", Address: address}}})
}

func (r *room) object(noun, id string, m proto.Message) uint64 {
	return r.publish(r.inv, subject.Object(noun, id), m)
}

// secret seals a secret as the inventory does.
func (r *room) secret(id, text string) {
	r.t.Helper()
	r.secretKey = filepath.Join(r.data, "secret.key")
	k, err := secret.MakeKey(r.secretKey)
	if err != nil {
		r.t.Fatal(err)
	}
	data, err := k.Seal(id, []byte(text))
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.inv.JS.Publish(within(r.t), subject.Secret(id), data); err != nil {
		r.t.Fatal(err)
	}
}

func (r *room) publish(by *bus.Conn, subj string, m proto.Message) uint64 {
	r.t.Helper()
	data, err := wire.Marshal(m)
	if err != nil {
		r.t.Fatal(err)
	}
	ack, err := by.JS.Publish(within(r.t), subj, data)
	if err != nil {
		r.t.Fatal(err)
	}
	return ack.Sequence
}

func (r *room) start() {
	task := r.startDead()
	r.until("the service is ready", func() bool { return task.Ready() == nil })
}

// startDead starts the service and waits for its web server only.
func (r *room) startDead() run.Task {
	loaders := r.t.TempDir()
	if err := os.WriteFile(filepath.Join(loaders, "snponly.efi"), []byte("loader"), 0o644); err != nil {
		r.t.Fatal(err)
	}
	conn := r.connect("bootscript")
	task, err := New(Config{Address: r.address, TFTP: "127.0.0.1:0", Loaders: []string{loaders}}, run.Deps{
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Metrics: prometheus.NewRegistry(), Bus: conn, SecretKey: r.secretKey, Data: r.data, Head: r.name})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- task.Run(ctx) }()
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
		conn.Close() // as the end of the process does
	}
	r.t.Cleanup(r.stop)
	r.until("the web server answers", func() bool {
		resp, err := http.Get(r.url("/luna?step=boot"))
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil
	})
	return task
}

// until asks again until something is so; the test fails when it never is.
func (r *room) until(what string, so func() bool) {
	r.t.Helper()
	ctx := within(r.t)
	for !so() {
		select {
		case <-ctx.Done():
			r.t.Fatalf("never: %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (r *room) url(path string) string { return fmt.Sprintf("http://%s:%d%s", r.address, r.port, path) }

func (r *room) get(path string) (int, string) {
	r.t.Helper()
	resp, err := http.Get(r.url(path))
	return r.read(resp, err)
}

func (r *room) read(resp *http.Response, err error) (int, string) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func (r *room) report(node, bearer string, rep *bootscriptv1.Report) (int, string) {
	r.t.Helper()
	data, err := wire.Marshal(rep)
	if err != nil {
		r.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(within(r.t), http.MethodPost, r.url("/luna?step=report&node="+node), strings.NewReader(string(data)))
	if err != nil {
		r.t.Fatal(err)
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	return r.read(http.DefaultClient.Do(req))
}

// release puts files into the store and publishes them as the current release.
func (r *room) release(contents ...string) *imagepackerv1.Release {
	r.t.Helper()
	rel := r.describe(contents...)
	for _, c := range contents {
		r.store(release.DigestOf([]byte(c)).Hex(), c)
	}
	r.publish(r.packer, subject.Release("O1"), &imagepackerv1.Releases{OsimageId: "O1", Current: rel.Manifest, Releases: []*imagepackerv1.Release{rel}})
	return rel
}

func (r *room) describe(c ...string) *imagepackerv1.Release {
	d := func(i int) string { return release.DigestOf([]byte(c[i])).String() }
	return &imagepackerv1.Release{Kernel: d(0), Initrd: d(1), Torrent: d(2), Manifest: d(3), Kernver: "6.1.0-9"}
}

func (r *room) store(name, content string) {
	r.t.Helper()
	store, err := r.packer.JS.ObjectStore(within(r.t), subject.Files)
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := store.Put(within(r.t), jetstream.ObjectMeta{Name: name}, strings.NewReader(content)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *room) tell(mac, address string) {
	r.t.Helper()
	conn, err := net.Dial("unixgram", filepath.Join(r.data, "bootscript", "ipxe.sock"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	data, _ := json.Marshal(map[string]any{"mac": mac, "address": address, "at": time.Now()})
	if _, err := conn.Write(data); err != nil {
		r.t.Fatal(err)
	}
}

func (r *room) show(node string) *bootscriptv1.BootShowReply {
	return ask(r, "boot", "show", &bootscriptv1.BootShowRequest{Node: node}, &bootscriptv1.BootShowReply{})
}

func ask[Rep proto.Message](r *room, noun, verb string, req proto.Message, rep Rep) Rep {
	r.t.Helper()
	rep, err := bus.Request(within(r.t), r.other, subject.Command("bootscript", noun, verb), req, rep)
	if err != nil {
		r.t.Fatal(err)
	}
	return rep
}

func names(steps []*bootscriptv1.Step) string {
	var all []string
	for _, s := range steps {
		all = append(all, s.Report.Name+"/"+strings.ToLower(strings.TrimPrefix(s.Report.State.String(), "STATE_"))+"/"+s.By)
	}
	return strings.Join(all, " ")
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// word returns the value of a parameter of the kernel line.
func word(script, key string) string {
	for _, w := range strings.Fields(script) {
		if v, ok := strings.CutPrefix(w, key+"="); ok {
			return v
		}
	}
	return ""
}

const discovery = "/luna?step=discovery&hwdata=PC|" + mac1

// armed asks for a boot until the datagram of the exchange has arrived.
func (r *room) armed(mac, path string) (script string) {
	r.t.Helper()
	r.tell(mac, "127.0.0.1")
	r.until("the boot is armed", func() bool {
		_, script = r.get(path)
		return word(script, "luna.token") != ""
	})
	return script
}

func (r *room) messages(stream string) uint64 {
	s, err := r.other.JS.Stream(within(r.t), stream)
	if err != nil {
		r.t.Fatal(err)
	}
	info, err := s.Info(within(r.t))
	if err != nil {
		r.t.Fatal(err)
	}
	return info.State.Msgs
}

// steps counts the steps of all boots of a node.
func (r *room) steps(node string) (n uint64) {
	r.t.Helper()
	for _, id := range r.show(node).Boots {
		n += uint64(len(ask(r, "boot", "show", &bootscriptv1.BootShowRequest{Node: node, BootId: id}, &bootscriptv1.BootShowReply{}).Steps))
	}
	return n
}
