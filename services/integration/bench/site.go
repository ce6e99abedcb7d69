package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/integration/fleet"
	"github.com/luna-hpc/luna/services/integration/room"
)

const (
	headAddress   = "10.30.255.254"
	clientAddress = "10.30.250.1"
)

// clientMAC is that of the client's card, and of the first node.
var clientMAC = net.HardwareAddr{0x52, 0x54, 0, 0xcc, 0, 1}

// site is a head and a client on its network, without machines.
type site struct {
	opt    Options
	dir    string
	nodes  int
	names  []string
	moved  int // how many addresses were given out beyond the first ones
	room   *room.Room
	head   *fleet.Head
	client *room.Host
	conn   *bus.Conn
}

// open starts the server and the inventory.
func open(ctx context.Context, opt Options, nodes int, dir string) (s *site, err error) {
	s = &site{opt: opt, dir: dir, nodes: nodes}
	if s.room, err = room.Open(ctx, room.Options{Dir: dir}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.client, err = s.room.AddHost(ctx, "client", clientMAC, netip.MustParsePrefix(clientAddress+"/16")); err != nil {
		return nil, err
	}
	if s.head, err = fleet.New(ctx, s.room.Namespace, fleet.Options{Name: "head", Dir: dir, Bin: opt.Bin, Deploy: opt.Deploy}); err != nil {
		return nil, err
	}
	if err = s.head.Start(fleet.NATS); err != nil {
		return nil, err
	}
	if err = s.head.Streams(ctx, 1); err != nil {
		return nil, err
	}
	if err = s.head.Start("inventory"); err != nil {
		return nil, err
	}
	if s.conn, err = s.head.Bus("operator"); err != nil {
		return nil, err
	}
	return s, s.head.WaitReady(ctx, 0, "inventory")
}

func (s *site) close() error {
	if s.conn != nil {
		s.conn.Close()
	}
	return s.room.Close()
}

// do sends one command and returns how long its reply took.
func (s *site) do(ctx context.Context, noun, verb string, req proto.Message) (*inventoryv1.ChangeReply, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	begun := time.Now()
	rep, err := bus.Request(ctx, s.conn, subject.Command("inventory", noun, verb), req, &inventoryv1.ChangeReply{})
	if err != nil {
		return nil, 0, fmt.Errorf("%s %s: %w", noun, verb, err)
	}
	return rep, time.Since(begun), nil
}

func (s *site) groupName(i int) string { return fmt.Sprintf("rack%02d", i%s.opt.Groups+1) }

// macOf returns the MAC that a node has at first.
func macOf(i int) net.HardwareAddr {
	if i == 0 {
		return clientMAC
	}
	return net.HardwareAddr{0x52, 0x54, 0, 0xaa, byte(i >> 8), byte(i)}
}

// describe makes a cluster in one change and publishes what its nodes boot.
func (s *site) describe(ctx context.Context, _ *column) error {
	var text strings.Builder
	fmt.Fprintf(&text, "cluster: {frontend_address: %s}\n", headAddress)
	fmt.Fprintf(&text, "networks:\n  cluster: {network: 10.30.0.0/16, gateway: %s, nameservers: [%s], reserved: [%s], dhcp_range: {start: 10.30.128.1, end: 10.30.140.255}}\n",
		headAddress, headAddress, clientAddress)
	fmt.Fprintf(&text, "osimages:\n  compute: {path: /opt/luna/os/compute, head: head}\ngroups:\n")
	for i := range s.opt.Groups {
		fmt.Fprintf(&text, "  %s: {osimage: compute, interfaces: [{name: BOOTIF, networks: [cluster]}]}\n", s.groupName(i))
	}
	text.WriteString("nodes:\n")
	for i := range s.nodes {
		s.names = append(s.names, fmt.Sprintf("node%05d", i+1))
		fmt.Fprintf(&text, "  %s: {group: %s, mac: \"%s\"}\n", s.names[i], s.groupName(i), macOf(i))
	}
	file := filepath.Join(s.dir, "cluster.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
		return err
	}
	if _, err := s.head.Luna(ctx, "import", file); err != nil {
		return err
	}
	rep, err := bus.Request(ctx, s.conn, subject.Command("inventory", "osimage", "show"), &inventoryv1.ShowRequest{Name: "compute"}, &inventoryv1.ShowReply{})
	if err != nil {
		return err
	}
	return s.head.Release(ctx, rep.Object.GetOsimage().GetId())
}

// fill changes every object until the bus has as many versions as it is to have.
func (s *site) fill(ctx context.Context, _ *column) error {
	for round := 2; round <= s.opt.Versions; round++ {
		note := proto.String(fmt.Sprintf("version %d", round))
		for _, c := range []struct {
			noun string
			req  proto.Message
		}{
			{"cluster", &inventoryv1.ClusterChangeRequest{Comment: note}},
			{"network", &inventoryv1.NetworkChangeRequest{Name: "cluster", Comment: note}},
			{"osimage", &inventoryv1.OsimageChangeRequest{Name: "compute", Comment: note}},
		} {
			if _, _, err := s.do(ctx, c.noun, "change", c.req); err != nil {
				return err
			}
		}
		for i := range s.opt.Groups {
			if _, _, err := s.do(ctx, "group", "change", &inventoryv1.GroupChangeRequest{Name: s.groupName(i), Comment: note}); err != nil {
				return err
			}
		}
		if _, _, err := s.do(ctx, "node", "change", &inventoryv1.NodeChangeRequest{All: true, Comment: note}); err != nil {
			return err
		}
	}
	return nil
}

// services are all that a head has beside its inventory.
var services = []string{"image-packer", "torrent-seeder", "dhcp", "dns", "bootscript", "switch-poller", "power"}

// start starts everything else and waits until nodes can boot.
func (s *site) start(ctx context.Context, _ *column) error {
	if err := s.head.Start(services...); err != nil {
		return err
	}
	if err := s.ready(ctx, services...); err != nil {
		return err
	}
	p, err := s.newProbes(macOf(1))
	if err != nil {
		return err
	}
	defer p.close()
	return until(ctx, breath, func() error { return p.script(ctx, "luna.node="+s.names[1]) })
}

// ready waits until services show what the bus has now. The torrent seeder does not seed here, since what nodes boot
// has no payload: it need only know.
func (s *site) ready(ctx context.Context, names ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	stream, err := s.conn.JS.Stream(ctx, subject.Inventory)
	if err != nil {
		return err
	}
	last := stream.CachedInfo().State.LastSeq
	for _, name := range names {
		err := until(ctx, look, func() error {
			r, err := s.head.Ready(ctx, name)
			if err == nil && !(r.Follows(last) && (r.Ready || name == "torrent-seeder")) {
				err = fmt.Errorf("%s is not ready: %+v", name, r)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
