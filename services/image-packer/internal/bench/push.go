package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/graft"
	"github.com/luna-hpc/luna/pkg/job"
	"github.com/luna-hpc/luna/pkg/release"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
)

const (
	pushesAtOnce = 16
	mostAtOnce   = 256
)

// nodeFiles are what the agent, or a postscript, has written for one node: a push leaves them as they are.
const nodeFiles = `/etc/hostname
/etc/hosts
/etc/fstab
/etc/resolv.conf
/etc/systemd/resolved.conf.d/luna.conf
/etc/cloud/cloud.cfg.d/99-luna-network.cfg
` + networkFiles

// push begins to bring nodes to a release.
func (b *Bench) push(_ context.Context, call bus.Call, req *imagepackerv1.OsimagePushRequest) (*jobv1.JobReply, error) {
	image, err := b.image(req.Name)
	if err != nil {
		return nil, err
	}
	to, err := b.kept(req.Name, req.Release, orCurrent)
	if err != nil {
		return nil, err
	}
	if req.Limit > mostAtOnce {
		return nil, fault.Invalidf("limit %d: at most %d nodes can be pushed to at once", req.Limit, mostAtOnce)
	}
	p := &pusher{bench: b, image: image, to: to, req: req, deltas: map[string]*delta{}}
	if req.From != "" {
		from, err := b.kept(req.Name, req.From, choose)
		if err != nil {
			return nil, err
		}
		p.from = from.Manifest
	}
	nodes, err := b.targets(image, req)
	if err != nil {
		return nil, err
	}
	e := errand{title: fmt.Sprintf("push %s to %d nodes", image.Name, len(nodes)), author: call.Author}
	return b.startIn(image, image.Path, e, func(ctx context.Context, j *job.Job) error {
		return p.run(ctx, nodes, j)
	})
}

// pusher brings nodes of one image to one release.
type pusher struct {
	bench *Bench
	image *inventoryv1.Osimage
	to    kept
	from  string // what nodes have that cannot tell
	req   *imagepackerv1.OsimagePushRequest

	mu     sync.Mutex
	deltas map[string]*delta // by the release that nodes have
}

// delta is what two releases do not hold alike, made once for all nodes.
type delta struct {
	once    sync.Once
	changes []release.Changed
	file    string
	err     error
}

func (p *pusher) run(ctx context.Context, nodes []target, j *job.Job) (err error) {
	defer func() { err = errors.Join(err, p.clear()) }()
	j.Phase("nodes", "nodes")
	var mu sync.Mutex
	var done int64
	most, limit := room(nodes), pushesAtOnce
	if p.req.Limit > 0 {
		limit = int(p.req.Limit)
	}
	var group errgroup.Group
	group.SetLimit(limit)
	for _, t := range nodes {
		group.Go(func() error {
			r := &jobv1.Result{Name: t.node}
			text, err := p.node(ctx, t)
			if r.Text = fit(text, most); err != nil {
				r.Text, r.Error, r.ErrorCode = "", fit(err.Error(), most), uint32(fault.KindOf(err).Code())
			}
			j.Result(r)
			mu.Lock()
			defer mu.Unlock()
			done++
			j.Progress(done, int64(len(nodes)))
			return nil
		})
	}
	_ = group.Wait()
	if ctx.Err() != nil {
		return fault.Unavailablef("the service was stopped; the results say what was pushed")
	}
	return nil
}

// node pushes to one node and says what was done.
func (p *pusher) node(ctx context.Context, t target) (text string, err error) {
	if t.err != nil {
		return "", t.err
	}
	t.host.Accept = p.req.AcceptHostKey
	p.bench.hostKeys(ctx, &t.host)
	m, err := p.bench.Access.Connect(ctx, t.host)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	var has graft.System
	var r graft.Report
	err = m.Run(ctx, p.bench.Packer.Agent, "push", func(in io.Reader, out io.WriteCloser) (err error) {
		has, r, err = p.order(ctx).Run(graft.NewLine(in, out))
		return err
	})
	if err != nil && fault.KindOf(err) == fault.Internal {
		err = fault.Unavailablef("%w", err)
	}
	if err != nil {
		return "", err
	}
	text = p.tell(has, r)
	if m.Accepted != "" {
		text += "; host key " + m.Accepted + " was taken without being known"
	}
	return text, nil
}

// order returns what one node is told.
func (p *pusher) order(ctx context.Context) graft.Push {
	var d *delta
	exclude := strings.Join([]string{nodeFiles, excludeOf(p.image)}, "\n")
	return graft.Push{
		Order: graft.Order{Release: p.to.Manifest, Exclude: exclude, DryRun: p.req.DryRun},
		Changes: func(has graft.System) (changes []release.Changed, err error) {
			if d, err = p.delta(ctx, has); err != nil {
				return nil, err
			}
			return d.changes, nil
		},
		Content: func() (io.ReadCloser, error) { return os.Open(d.file) },
	}
}

// delta returns what a node must be told that has a release.
func (p *pusher) delta(ctx context.Context, has graft.System) (*delta, error) {
	from := has.Release
	if from == "" {
		from = p.from
	}
	if has.Toward != "" && has.Toward != p.to.Manifest {
		return nil, fault.Conflictf("not done: a push of release %s to it was interrupted, and it has a part of that: push that one first, --release %s, or boot it anew", has.Toward, has.Toward)
	}
	if from == "" {
		return nil, fault.Conflictf("not done: it cannot tell which release it has, as it was not booted by Luna; say so, --from RELEASE")
	}
	p.mu.Lock()
	d := p.deltas[from]
	if d == nil {
		d = &delta{}
		p.deltas[from] = d
	}
	p.mu.Unlock()
	d.once.Do(func() { d.err = p.make(ctx, from, d) })
	return d, d.err
}

// make compares two releases and writes the files that changed into one.
func (p *pusher) make(ctx context.Context, from string, d *delta) (err error) {
	if from == p.to.Manifest {
		return nil
	}
	old, err := p.bench.manifest(from)
	if err != nil {
		return err
	}
	payload := p.bench.Packer.Payload
	if d.changes, err = release.Changes(ctx, payload, old, p.to.manifest); err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, c := range d.changes {
		wanted[c.Header.Name] = !c.Gone
	}
	f, err := os.CreateTemp(p.bench.Packer.Work, "push-*")
	if err != nil {
		return err
	}
	d.file = f.Name()
	return errors.Join(release.Extract(ctx, payload, p.to.manifest, old, wanted, f), f.Close())
}

// manifest reads the manifest of a release that some image of this head has: a node may have had another image.
func (b *Bench) manifest(digest string) (*release.Manifest, error) {
	all, err := b.Shelf.All()
	if err != nil {
		return nil, err
	}
	for _, rs := range all {
		for _, r := range rs.Releases {
			if r.Manifest == digest && r.Head == b.Packer.Head {
				return b.readManifest(r)
			}
		}
	}
	return nil, fault.Conflictf("not done: it has release %s, which this head does not keep: boot it anew", digest)
}

// clear removes the files of all deltas.
func (p *pusher) clear() (err error) {
	for _, d := range p.deltas {
		if d.file != "" {
			err = errors.Join(err, os.Remove(filepath.Clean(d.file)))
		}
	}
	return err
}

// tell says in one line what was done with a node, or would be.
func (p *pusher) tell(has graft.System, r graft.Report) string {
	var b strings.Builder
	for _, line := range r.Lines {
		b.WriteString("\n  " + legible(line))
	}
	if len(r.Lines) > 0 {
		b.WriteString("\n  ")
	}
	if r.Created+r.Changed+r.Deleted == 0 {
		b.WriteString("has it already")
	} else {
		fmt.Fprintf(&b, "%d created, %d changed, %d deleted, %.1f MB", r.Created, r.Changed, r.Deleted, float64(r.Bytes)/1e6)
	}
	if len(r.Kept) > 0 {
		fmt.Fprintf(&b, "; %s stays, and what else lies where something is mounted or is a link of this system's own", legible(r.Kept[0]))
	}
	for attr, n := range r.Refused {
		fmt.Fprintf(&b, "; %d files go without %s", n, attr)
	}
	if has.Kernel != p.to.Kernver {
		fmt.Fprintf(&b, "; kernel %s boots with the next boot", p.to.Kernver)
	}
	return b.String()
}
