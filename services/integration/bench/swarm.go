package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"time"
)

// SwarmOptions say how to compare ways to get a payload to many nodes.
type SwarmOptions struct {
	// Sizes are the numbers of nodes: 1, 8, 24 and 72 have a link rate and a size with which ours keeps two processors under 70 % busy.
	Sizes []int
	// Repeats is how often each way is measured; they take turns.
	Repeats int
	// Only names ways; nothing is all.
	Only []string
	// Mbit is the rate of each link in Mbit/s; 0 is the usual one of each number of nodes.
	Mbit float64
	// Share is which part of the usual size the payload has; 0 is all of it.
	Share float64
	// Bucket is what a link that stood idle may make good, in KiB.
	Bucket int
	// Queue is what waits in front of a link before something is lost, in KiB.
	Queue int
	// Kept is a file that gets a line for each run; what it has already is not measured again, so that one that was cut off
	// goes on. Nothing is none.
	Kept string
	// Out gets the table, Log what is going on.
	Out, Log io.Writer
}

// shape is the link and the payload of a number of nodes.
type shape struct {
	nodes               int
	mbit                float64
	pieceLength, pieces int
	bucket, queue       int // KiB
}

var shapes = []shape{
	{nodes: 1, mbit: 100, pieceLength: 64 << 10, pieces: 1536},
	{nodes: 8, mbit: 20, pieceLength: 64 << 10, pieces: 1536},
	{nodes: 24, mbit: 4, pieceLength: 32 << 10, pieces: 896},
	{nodes: 72, mbit: 1, pieceLength: 16 << 10, pieces: 896},
}

// result is what one way did in one run.
type result struct {
	First, Middle, Last float64 // time of these nodes over size ÷ link
	Sent                float64 // bytes that the head's interface sent over the size
	Spent               float64 // processor seconds of all, per GB and node
	Memory              float64 // MB of a node at the peak, with the payload, which lies in memory
	Busy                float64 // share of this machine's processors
}

// Swarm compares ours with others in namespaces with shaped links. An error means that a program is missing or that a
// node did not get the payload; to be slow is none.
func Swarm(ctx context.Context, opt SwarmOptions) error {
	chosen, err := ways(opt.Only)
	if err != nil {
		return err
	}
	if err := present(ctx, opt.Out, chosen); err != nil {
		return err
	}
	t := &comparison{opt: opt, load: firstLine("/proc/loadavg"), told: map[string]bool{}}
	if err := t.recall(); err != nil {
		return err
	}
	for _, n := range opt.Sizes {
		i := slices.IndexFunc(shapes, func(s shape) bool { return s.nodes == n })
		if i < 0 {
			return fmt.Errorf("%d nodes: 1, 8, 24 and 72 are measured", n)
		}
		s := shapes[i]
		s.bucket, s.queue = opt.Bucket, opt.Queue
		if opt.Mbit > 0 {
			s.mbit = opt.Mbit
		}
		if opt.Share > 0 {
			s.pieces = max(int(float64(s.pieces)*opt.Share), 3)
		}
		for turn := range opt.Repeats {
			for _, w := range chosen {
				if t.runs(s, w.name) > turn {
					continue
				}
				r, err := t.measure(ctx, s, w)
				if err == nil {
					err = t.keep(s, w.name, r)
				}
				if err != nil {
					return errors.Join(fmt.Errorf("%s, %d nodes: %w", w.name, n, err), t.write())
				}
			}
		}
	}
	return t.write()
}

// present says with what is measured.
func present(ctx context.Context, out io.Writer, chosen []way) error {
	for _, w := range chosen {
		for _, program := range w.programs {
			path, err := exec.LookPath(program[0])
			if err != nil {
				return fmt.Errorf("%s is missing: run deploy/room/install-packages.sh bench", program[0])
			}
			said, err := exec.CommandContext(ctx, path, program[1:]...).CombinedOutput()
			if err != nil {
				return fmt.Errorf("%s of %s does not run: %w: %s", program[0], w.name, err, said)
			}
			fmt.Fprintf(out, "%s: %s\n", w.name, firstOf(string(said)))
		}
	}
	return nil
}

// measure lets one way do its work in a room of its own, whose files lie in memory.
func (t *comparison) measure(ctx context.Context, s shape, w way) (r result, err error) {
	dir, err := os.MkdirTemp("/dev/shm", "luna-bench-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if w.alone {
		s.pieces = max(s.pieces/s.nodes, 3)
	}
	p, err := newPayload(dir, s.pieceLength, s.pieces)
	if err != nil {
		return r, err
	}
	hall, err := openHall(ctx, s, w, p, t.tell)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, hall.close()) }()
	r, err = hall.run(ctx)
	if err == nil {
		fmt.Fprintf(t.opt.Log, "%s, %d nodes: last %.2f, head %.2f, %.1f s per GB and node, %.0f MB, %.0f %% busy\n",
			w.name, s.nodes, r.Last, r.Sent, r.Spent, r.Memory, 100*r.Busy)
	}
	return r, err
}

// bound is how long a link needs for the payload alone.
func (s shape) bound() time.Duration {
	return time.Duration(float64(s.pieceLength*s.pieces*8) / s.mbit * float64(time.Microsecond))
}
