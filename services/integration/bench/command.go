package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/subject"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

// list reads all nodes page by page, as `luna node list` does.
func (s *site) list(ctx context.Context, c *column) error {
	for range s.opt.Repeats * 3 {
		begun, count, after := time.Now(), 0, ""
		for {
			rep, err := bus.Request(ctx, s.conn, subject.Command("inventory", "node", "list"), &inventoryv1.ListRequest{After: after}, &inventoryv1.ListReply{})
			if err != nil {
				return err
			}
			count += len(rep.Objects)
			if after = rep.Next; after == "" {
				break
			}
		}
		c.add("list all nodes, page by page", 500*time.Millisecond, time.Since(begun))
		if count != s.nodes {
			return fmt.Errorf("%d nodes are listed, not %d", count, s.nodes)
		}
	}
	return nil
}

// more is how many nodes one command adds.
const more = 1000

// add adds nodes in one command and deletes them again.
func (s *site) add(ctx context.Context, c *column) error {
	for range s.opt.Repeats {
		rep, took, err := s.do(ctx, "node", "add", &inventoryv1.NodeAddRequest{Group: s.groupName(0), Count: more})
		if err != nil {
			return err
		}
		c.add(fmt.Sprintf("add %d nodes in one command", more), 2*time.Second, took)
		first, begun := rep.Objects[0].GetNode(), time.Now()
		p, err := s.newProbes(macOf(0))
		if err != nil {
			return err
		}
		err = until(ctx, breath, func() error { return p.name(first.Name+".cluster", first.Addresses[0].Address) })
		p.close()
		if err != nil {
			return fmt.Errorf("DNS: %w", err)
		}
		c.add("  DNS knows them", 0, time.Since(begun))
		names, err := s.added(ctx)
		if err != nil {
			return err
		}
		if _, took, err = s.do(ctx, "node", "delete", &inventoryv1.NodeDeleteRequest{Name: strings.Join(names, ",")}); err != nil {
			return err
		}
		c.add(fmt.Sprintf("delete %d nodes in one command", more), 0, took)
	}
	return nil
}

// added returns the names of the nodes that are there beyond the first ones.
func (s *site) added(ctx context.Context) (names []string, err error) {
	for after := s.names[s.nodes-1]; ; {
		rep, err := bus.Request(ctx, s.conn, subject.Command("inventory", "node", "list"), &inventoryv1.ListRequest{After: after}, &inventoryv1.ListReply{})
		if err != nil {
			return nil, err
		}
		for _, o := range rep.Objects {
			names = append(names, o.GetNode().Name)
		}
		if after = rep.Next; after == "" {
			break
		}
	}
	if len(names) != more {
		return nil, fmt.Errorf("%d nodes were added, not %d", len(names), more)
	}
	return names, nil
}

// addressOf returns a node's address on BOOTIF; "" when there is none.
func (s *site) addressOf(ctx context.Context, i int) string {
	rep, err := bus.Request(ctx, s.conn, subject.Command("inventory", "node", "show"), &inventoryv1.ShowRequest{Name: s.names[i]}, &inventoryv1.ShowReply{})
	if err != nil || len(rep.Object.GetNode().GetAddresses()) == 0 {
		return ""
	}
	return rep.Object.GetNode().Addresses[0].Address
}

// rebuild kills services, one at a time, and starts them without their states. What is measured has the start of the
// process in it.
func (s *site) rebuild(ctx context.Context, c *column) error {
	for _, name := range append([]string{"inventory"}, services...) {
		for range s.opt.Repeats {
			if err := s.head.Kill(name); err != nil {
				return err
			}
			if err := os.Remove(filepath.Join(s.head.Data(name), "state.db")); err != nil {
				return err
			}
			begun := time.Now()
			if err := s.head.Start(name); err != nil {
				return err
			}
			if err := s.ready(ctx, name); err != nil {
				return err
			}
			c.add("start with no state: "+name, 2*time.Second, time.Since(begun))
		}
	}
	return nil
}
