// Package bench measures what administrators and nodes wait for, and compares it with the goals and with other programs.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Options say what to measure.
type Options struct {
	// Sizes are the numbers of nodes to measure with, one after the other, each with a head of its own.
	Sizes []int
	// Groups is how many groups the nodes are in.
	Groups int
	// Versions is how many versions the bus has of every object.
	Versions int
	// Changes is how many changes of each kind are made.
	Changes int
	// Repeats is how often everything else is done.
	Repeats int
	// Bin is the directory of Luna's programs, Deploy that of the configuration that comes with them.
	Bin, Deploy string
	// Out gets the tables, Log what is going on.
	Out, Log io.Writer
}

// Inventory measures a head of separate processes in a namespace of its own: how long commands take, when nodes are
// answered with a change, and how long services need to build their states anew. An error means that something does
// not work; to be slow is none.
func Inventory(ctx context.Context, opt Options) error {
	table := newTable(opt)
	for _, nodes := range opt.Sizes {
		if err := measure(ctx, opt, nodes, table); err != nil {
			return errors.Join(fmt.Errorf("with %d nodes: %w", nodes, err), table.write(opt.Out))
		}
	}
	return table.write(opt.Out)
}

// measure fills the column of one size.
func measure(ctx context.Context, opt Options, nodes int, t *table) (err error) {
	begun := time.Now()
	dir, err := os.MkdirTemp("", "luna-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := open(ctx, opt, nodes, dir)
	if err != nil {
		return err
	}
	defer func() {
		if ctx.Err() == nil { // else the room is closed already
			err = errors.Join(s.crashed(), err)
		}
		err = errors.Join(err, s.close())
	}()
	for _, part := range []struct {
		what string
		do   func(context.Context, *column) error
	}{
		{"describe the cluster", s.describe},
		{"fill the history", s.fill},
		{"start the other services", s.start},
		{"list", s.list},
		{"change", s.change},
		{"build states anew", s.rebuild},
		{"ask foreign programs", s.strangers},
		{"add and delete", s.add},
	} {
		fmt.Fprintf(opt.Log, "%6.1f s, %d nodes: %s\n", time.Since(begun).Seconds(), nodes, part.what)
		if err := part.do(ctx, t.column(nodes)); err != nil {
			return fmt.Errorf("%s: %w", part.what, err)
		}
	}
	fmt.Fprintf(opt.Log, "%6.1f s, %d nodes: done\n", time.Since(begun).Seconds(), nodes)
	return nil
}

// crashed is an error when a service has ended by itself.
func (s *site) crashed() error {
	if names := s.head.Crashed(); len(names) > 0 {
		return fmt.Errorf("crashed: %s", strings.Join(names, ", "))
	}
	return nil
}
