package luna

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/subject"
	torrentseederv1 "github.com/luna-hpc/luna/proto/torrentseeder/v1"
)

// between is the time between two looks at the swarms, from which rates are known.
const between = 2 * time.Second

func (a *app) swarmCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "swarm [IMAGE]", Short: "show who has how much of an image, from whom and how fast",
		Long: "swarm asks every head which nodes are connected to it, twice, two seconds apart: rates are those of that time.\n" +
			"Nodes that have all leave after a while.",
		Args: cobra.MaximumNArgs(1), Example: "  luna swarm\n  luna swarm compute --watch", ValidArgsFunction: a.completeNames(catalog.Osimage)}
	watch := cmd.Flags().BoolP("watch", "w", false, "go on until interrupted")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		image := ""
		if len(args) == 1 {
			image = args[0]
		}
		names, err := a.addressNames(cmd.Context())
		if err != nil {
			return err
		}
		before, err := a.swarms(cmd.Context())
		if err != nil {
			return err
		}
		for {
			select {
			case <-time.After(between):
			case <-cmd.Context().Done():
				return nil
			}
			now, err := a.swarms(cmd.Context())
			if err != nil {
				return err
			}
			if err := a.showSwarms(before, now, image, names); err != nil || !*watch {
				return err
			}
			before = now
		}
	}
	return cmd
}

// swarms asks every head.
func (a *app) swarms(ctx context.Context) ([]*torrentseederv1.SwarmShowReply, error) {
	conn, err := a.connect(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	return bus.Gather(ctx, conn, subject.Command("torrent-seeder", "swarm", "show"), &torrentseederv1.SwarmShowRequest{}, &torrentseederv1.SwarmShowReply{})
}

// addressNames returns the nodes' names by their addresses.
func (a *app) addressNames(ctx context.Context) (map[string]string, error) {
	nodes, _, err := a.list(ctx, catalog.Node, "")
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, o := range nodes {
		for _, at := range o.GetNode().GetAddresses() {
			names[at.Address] = o.GetNode().Name
		}
	}
	return names, nil
}

// crowd is one release as all heads see it together.
type crowd struct {
	*torrentseederv1.Swarm
	peers map[string]*torrentseederv1.Peer // by address
	time  time.Time
}

// together adds up what the heads say, by release.
func together(replies []*torrentseederv1.SwarmShowReply) map[string]*crowd {
	all := map[string]*crowd{}
	for _, rep := range replies {
		for _, s := range rep.Swarms {
			c := all[s.Release]
			if c == nil {
				c = &crowd{Swarm: proto.Clone(s).(*torrentseederv1.Swarm), peers: map[string]*torrentseederv1.Peer{}}
				c.Sent, c.LeftOut = 0, 0
				all[s.Release] = c
			}
			c.Sent += s.Sent
			c.LeftOut = max(c.LeftOut, s.LeftOut)
			c.time, _ = time.Parse(time.RFC3339Nano, rep.Time)
			for _, p := range s.Peers {
				had := c.peers[p.Address]
				if had == nil {
					c.peers[p.Address] = proto.Clone(p).(*torrentseederv1.Peer)
					continue
				}
				had.Has = max(had.Has, p.Has)
				had.FromHead += p.FromHead
			}
		}
	}
	return all
}

// rate is what a peer got since an earlier look, in bytes a second.
func (c *crowd) rate(before *crowd, p *torrentseederv1.Peer) float64 {
	if before == nil || before.peers[p.Address] == nil || !c.time.After(before.time) {
		return 0
	}
	return float64(p.Has-before.peers[p.Address].Has) / c.time.Sub(before.time).Seconds()
}

func (a *app) showSwarms(earlier, latest []*torrentseederv1.SwarmShowReply, image string, names map[string]string) error {
	if a.output != "table" {
		for _, rep := range latest {
			if err := a.print(rep); err != nil {
				return err
			}
		}
		return nil
	}
	before, now := together(earlier), together(latest)
	found := false
	for _, c := range slices.SortedFunc(maps.Values(now), func(x, y *crowd) int {
		return cmp.Or(cmp.Compare(x.Osimage, y.Osimage), cmp.Compare(x.Release, y.Release))
	}) {
		if image == "" && !c.Current && len(c.peers) == 0 || image != "" && c.Osimage != image {
			continue
		}
		found = true
		a.showCrowd(c, before[c.Release], names)
	}
	if !found && image != "" {
		return fault.NotFoundf("no head seeds a release of osimage %q", image)
	}
	return nil
}

func (a *app) showCrowd(c, before *crowd, names map[string]string) {
	whole, nodes := 0, 0
	for _, p := range c.peers {
		if p.Kind != "head" {
			nodes++
		}
		if p.Kind != "head" && p.Has == c.Size {
			whole++
		}
	}
	fmt.Fprintf(a.out, "%s %s%s: %s; the heads have sent %.2f times that; %d of %d nodes have all\n", c.Osimage, short(c.Release),
		map[bool]string{true: " (current)"}[c.Current], size(c.Size), float64(c.Sent)/float64(max(c.Size, 1)), whole, nodes)
	if len(c.peers) == 0 {
		return
	}
	t := a.newTable("node", "has", "from heads", "from others", "rate", "left")
	for _, p := range slices.SortedFunc(maps.Values(c.peers), func(x, y *torrentseederv1.Peer) int {
		return cmp.Or(cmp.Compare(x.Has, y.Has), cmp.Compare(x.Address, y.Address))
	}) {
		name := cmp.Or(names[p.Address], p.Address)
		if p.Kind != "node" {
			name += " (" + p.Kind + ")"
		}
		rate := c.rate(before, p)
		t.AppendRow([]any{name, fmt.Sprintf("%d %%", p.Has*100/max(c.Size, 1)), size(p.FromHead), size(max(p.Has-p.FromHead, 0)), size(int64(rate)) + "/s", left(c.Size-p.Has, rate)})
	}
	t.Render()
	if c.LeftOut > 0 {
		fmt.Fprintf(a.out, "and %d more\n", c.LeftOut)
	}
}

// left is the time until a peer has all, at its present rate.
func left(bytes int64, rate float64) string {
	switch {
	case bytes <= 0:
		return ""
	case rate <= 0:
		return "?"
	}
	return time.Duration(float64(bytes) / rate * float64(time.Second)).Round(time.Second).String()
}
