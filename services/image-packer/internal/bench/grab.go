package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/luna-hpc/luna/pkg/bus"
	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/graft"
	"github.com/luna-hpc/luna/pkg/imagelock"
	"github.com/luna-hpc/luna/pkg/job"
	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/pkg/subject"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
	imagepackerv1 "github.com/luna-hpc/luna/proto/imagepacker/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	jobv1 "github.com/luna-hpc/luna/proto/job/v1"
	"github.com/luna-hpc/luna/services/image-packer/internal/remote"
)

// defaultExclude is the exclude list of an image that has none, as lines of rsync's --exclude-from: what a system makes
// while it runs, and what the agent or a postscript writes for one node.
const defaultExclude = `/proc/*
/sys/*
/dev/*
/run/*
/tmp/*
/var/tmp/*
/mnt/*
/media/*
lost+found/
/swapfile
+ /var/log/**/
/var/log/**
/var/cache/apt/archives/*.deb
/var/cache/dnf/*
/var/cache/yum/*
/var/cache/zypp/*
/var/spool/abrt/*
/etc/hostname
/etc/fstab
/etc/resolv.conf
/etc/adjtime
/etc/udev/rules.d/70-persistent-*
` + networkFiles

// networkFiles are those that the agent writes for a node's network, or changes.
const networkFiles = `/etc/netplan/*
/lib/netplan/*
/usr/lib/netplan/*
/etc/systemd/network/*
/etc/NetworkManager/system-connections/*
/etc/network/interfaces
/etc/network/interfaces.d/*
/etc/sysconfig/network
/etc/sysconfig/network-scripts/ifcfg-*
/etc/sysconfig/network/ifcfg-*
`

// ownSecrets are what makes a machine this one and no other: they never come into an image, which is public.
var ownSecrets = []string{"/etc/ssh/ssh_host_*", "/etc/krb5.keytab", "/var/lib/luna/release"}

// private returns what is left out of every grab, whatever the image's list says.
func private() []string { return append(slices.Clone(ownSecrets), release.IdentityFiles()...) }

// excludeOf returns the lines of what is left out of an image: nothing in its own list can bring secrets back.
func excludeOf(image *inventoryv1.Osimage) string {
	list := image.GrabExcludeList
	if strings.TrimSpace(list) == "" {
		list = defaultExclude
	}
	return strings.Join(append(private(), strings.ReplaceAll("\n"+list, "\n!", "\n#!")), "\n")
}

// grab begins to make an image's directory like a running host.
func (b *Bench) grab(ctx context.Context, call bus.Call, req *imagepackerv1.OsimageGrabRequest) (*jobv1.JobReply, error) {
	image, err := b.image(req.Name)
	if err != nil {
		return nil, err
	}
	if req.Host == "" {
		return nil, fault.Invalidf("of which host? --host NODE, or a name or an address")
	}
	if _, err := graft.ParsePatterns(excludeOf(image)); err != nil {
		return nil, fault.Invalidf("grab_exclude_list of osimage %s: %w", image.Name, err)
	}
	host, err := b.host(ctx, req.Host)
	if err != nil {
		return nil, err
	}
	host.Accept = req.AcceptHostKey
	e := errand{title: "grab " + image.Name + " from " + req.Host, author: call.Author}
	return b.startIn(image, image.Path, e, func(ctx context.Context, j *job.Job) error {
		return b.grabFrom(ctx, image, host, req, j)
	})
}

// host finds where a host is and which keys it has told.
func (b *Bench) host(ctx context.Context, name string) (remote.Host, error) {
	h := remote.Host{Name: name, Address: name}
	if host, port, err := net.SplitHostPort(name); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return h, fault.Invalidf("host %q: %q is no port", name, port)
		}
		h.Name, h.Address, h.Port = host, host, int(n)
	}
	var node *inventoryv1.Node
	err := catalog.Read(b.State, func(v catalog.View) (err error) {
		if node, err = v.NodeNamed(h.Name); err != nil || node == nil {
			return err
		}
		j, err := v.Join(node)
		if j.Address.IsValid() {
			h.Address = j.Address.Addr().String()
		}
		h.Aliases = []string{j.FQDN()}
		return err
	})
	if err != nil || node == nil {
		return h, err
	}
	b.hostKeys(ctx, &h)
	return h, nil
}

// told returns the host keys that a node has told when it was installed.
func (b *Bench) told(ctx context.Context, node string) ([]string, error) {
	rep, err := bus.Request(ctx, b.Conn, subject.Command("bootscript", "hardware", "show"), &bootscriptv1.HardwareShowRequest{Node: node}, &bootscriptv1.HardwareShowReply{})
	return rep.GetNow().GetHostKeys(), err
}

// grabFrom does a grab.
func (b *Bench) grabFrom(ctx context.Context, image *inventoryv1.Osimage, host remote.Host, req *imagepackerv1.OsimageGrabRequest, j *job.Job) (err error) {
	j.Phase("connect", "")
	m, err := b.Access.Connect(ctx, host)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	g := graft.Grab{Dir: image.Path, Filesystems: filesystems(image.GrabFilesystems), Exclude: excludeOf(image), DryRun: req.DryRun,
		Phase: j.Phase, Progress: j.Progress}
	var r graft.Result
	err = m.Run(ctx, b.Packer.Agent, "tree", func(in io.Reader, out io.WriteCloser) (err error) {
		r, err = g.Run(ctx, graft.NewLine(in, out))
		return err
	})
	if err != nil {
		return b.ungrabbed(image, err)
	}
	if m.Accepted != "" {
		j.Note(fmt.Sprintf("host key %s of %s was taken without being known", m.Accepted, host.Name))
	}
	tellGrab(j, r, req)
	return nil
}

func filesystems(list string) (all []string) {
	for f := range strings.SplitSeq(list, ",") {
		if f = strings.TrimSpace(f); f != "" {
			all = append(all, f)
		}
	}
	return all
}

// ungrabbed says what a failure leaves.
func (b *Bench) ungrabbed(image *inventoryv1.Osimage, err error) error {
	var half graft.HalfWay
	switch {
	case errors.As(err, &half):
		return fault.Conflictf("osimage %s: %w; all that is to come is there, and the next work on it goes on with that", image.Name, err)
	case full(err):
		return fault.Unavailablef("not done: there is no room on the disk of head %s, and %s is as it was: %w", b.Packer.Head, image.Path, err)
	case fault.KindOf(err) != fault.Internal:
		return err
	}
	return fault.Unavailablef("not done, and %s is as it was: %w", image.Path, err)
}

// tellGrab notes what was done, or would be.
func tellGrab(j *job.Job, r graft.Result, req *imagepackerv1.OsimageGrabRequest) {
	if req.DryRun || req.Verbose {
		j.Note(stepLines(r.Plan)...)
	}
	j.Note(listed("is in grab_filesystems and is left out all the same, since grab_exclude_list covers it", r.Covered)...)
	j.Note(listed("changed each time it was read, and came as it was between", r.Unsteady)...)
	j.Note(listed("vanished before it came", r.Vanished)...)
	for _, attr := range slices.Sorted(maps.Keys(r.Refused)) {
		j.Note(fmt.Sprintf("%d files go without %s, which the file system of the image does not know", r.Refused[attr], attr))
	}
	verb := ""
	if req.DryRun {
		verb = "would be "
	}
	j.Note(fmt.Sprintf("%d %screated, %d changed, %d deleted; %.1f MB of files came", r.Plan.Created, verb, r.Plan.Changed, r.Plan.Deleted, float64(r.Plan.Bytes)/1e6))
}

// listed lists some names with what is to be said of them.
func listed(what string, names []string) (lines []string) {
	for i, name := range names {
		if i == 20 {
			return append(lines, fmt.Sprintf("and %d more", len(names)-i))
		}
		lines = append(lines, legible(name)+" "+what)
	}
	return lines
}

// stepLines lists the names of a plan, as many as a message of the bus takes.
func stepLines(p *graft.Plan) (lines []string) {
	size := 0
	for i, s := range p.Steps {
		if s.Kind == "" {
			continue
		}
		line := legible(s.Line())
		if size += len(line); len(lines) == maxDifferences || size > 400<<10 {
			return append(lines, fmt.Sprintf("and %d more", len(p.Steps)-i))
		}
		lines = append(lines, line)
	}
	return lines
}

// resume ends the grabs that were interrupted when the packer was killed, and looks after what was made then.
func (b *Bench) resume(ctx context.Context) {
	if err := b.State.CatchUp(ctx); err != nil {
		return // the next work on an image does it
	}
	if err := b.adopt(); err != nil {
		b.Log.Warn("directories that were made for images are not looked after", "err", err)
	}
	var mine []*inventoryv1.Osimage
	err := catalog.Read(b.State, func(v catalog.View) error {
		return v.Each(catalog.Osimage, "", func(o *inventoryv1.Object) bool {
			if i := o.GetOsimage(); i.Head == b.Packer.Head && graft.Interrupted(i.Path) {
				mine = append(mine, i)
			}
			return true
		})
	})
	if err != nil {
		b.Log.Warn("interrupted grabs are not looked for", "err", err)
	}
	for _, i := range mine {
		if err := resumeOne(i.Path); err != nil {
			b.Log.Warn("a grab was interrupted, and cannot be ended now", "osimage", i.Name, "err", err)
			continue
		}
		b.Log.Info("a grab that was interrupted is ended", "osimage", i.Name)
	}
}

func resumeOne(dir string) error {
	lock, err := imagelock.Exclusive(dir)
	if err != nil {
		return err
	}
	_, err = graft.Resume(dir)
	return errors.Join(err, lock.Unlock())
}
