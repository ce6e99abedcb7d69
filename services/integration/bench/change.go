package bench

import (
	"context"
	"fmt"
	"net"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// sight is where a change shows, and the question whose answer shows it.
type sight struct {
	by  string
	ask func() error
}

// kind is a kind of change of one node.
type kind struct {
	name string
	// make returns the command that changes node i, the MAC that its machine has
	// then, and where that shows.
	make func(ctx context.Context, s *site, i int) (req *inventoryv1.NodeChangeRequest, mac net.HardwareAddr, sights func(p *probes) []sight)
}

var kinds = []kind{
	{"address", func(ctx context.Context, s *site, i int) (*inventoryv1.NodeChangeRequest, net.HardwareAddr, func(p *probes) []sight) {
		address := s.nextAddress()
		return &inventoryv1.NodeChangeRequest{Name: s.names[i], Ip: address}, macOf(i), func(p *probes) []sight {
			return []sight{
				{"DNS, over UDP", func() error { return p.name(s.names[i]+".cluster", address) }},
				{"DHCP, a DISCOVER", func() error { return p.offer(ctx, address) }},
				{"HTTP, the boot script", func() error { return p.script(ctx, "luna.ip="+address+"/16 ") }},
			}
		}
	}},
	{"kernel option", func(ctx context.Context, s *site, i int) (*inventoryv1.NodeChangeRequest, net.HardwareAddr, func(p *probes) []sight) {
		word := fmt.Sprintf("bench=%d", time.Now().UnixNano())
		return &inventoryv1.NodeChangeRequest{Name: s.names[i], Kernopts: &word}, macOf(i), func(p *probes) []sight {
			return []sight{{"HTTP, the boot script", func() error { return p.script(ctx, word) }}}
		}
	}},
	{"MAC", func(ctx context.Context, s *site, i int) (*inventoryv1.NodeChangeRequest, net.HardwareAddr, func(p *probes) []sight) {
		mac := macOf(i)
		mac[2] = 0xbb
		address := s.addressOf(ctx, i)
		return &inventoryv1.NodeChangeRequest{Name: s.names[i], Mac: proto.String(mac.String())}, mac, func(p *probes) []sight {
			return []sight{
				{"DHCP, a DISCOVER", func() error { return p.offer(ctx, address) }},
				{"HTTP, the boot script", func() error { return p.script(ctx, "luna.node="+s.names[i]+" ") }},
			}
		}
	}},
}

// change makes changes of every kind, one after the other, and measures from each command's reply until clients get
// the new answer. Nodes whose MAC was changed are not changed again.
func (s *site) change(ctx context.Context, c *column) error {
	for _, k := range kinds {
		for n := range min(s.opt.Changes, s.nodes-1) {
			i := 1 + n*(s.nodes-1)/min(s.opt.Changes, s.nodes-1) // all over the cluster; the first is for foreign programs
			if err := s.changeOne(ctx, c, k, i); err != nil {
				return fmt.Errorf("%s of %s: %w", k.name, s.names[i], err)
			}
		}
	}
	return nil
}

func (s *site) changeOne(ctx context.Context, c *column, k kind, i int) error {
	req, mac, sights := k.make(ctx, s, i)
	p, err := s.newProbes(mac)
	if err != nil {
		return err
	}
	defer p.close()
	_ = p.script(ctx, mac.String()) // the machine has asked before; whatever it was told
	_, took, err := s.do(ctx, "node", "change", req)
	if err != nil {
		return err
	}
	told := time.Now()
	c.add("change one node: the command", 0, took)
	var all errgroup.Group
	places := sights(p)
	seen := make([]time.Duration, len(places))
	for n, one := range places {
		all.Go(func() error {
			if err := until(ctx, breath, one.ask); err != nil {
				return fmt.Errorf("%s: %w", one.by, err)
			}
			seen[n] = time.Since(told)
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	for n, one := range places {
		c.add("its "+k.name+" shows: "+one.by, 100*time.Millisecond, seen[n])
	}
	return nil
}

// nextAddress returns one that nobody has had yet.
func (s *site) nextAddress() string {
	s.moved++
	return fmt.Sprintf("10.30.%d.%d", 150+s.moved/250, 1+s.moved%250)
}
