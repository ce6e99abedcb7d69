package integration_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
	"github.com/luna-hpc/luna/services/integration/room"
)

// sampler is a prescript that keeps what /proc/meminfo said first and what it said when least was available, until the
// installed system starts, which finds both in /run.
const sampler = `
setsid bash -c '
least=
while [ $SECONDS -lt 1800 ]; do
	mapfile -t lines </proc/meminfo
	for line in "${lines[@]}"; do
		case $line in MemAvailable:*) line=${line#*:}; now=${line% kB} ;; esac
	done
	if [ -z "$least" ]; then
		printf "%s\n" "${lines[@]}" >/run/memory.before
	fi
	if [ -z "$least" ] || [ "$now" -lt "$least" ]; then
		least=$now
		printf "%s\n" "${lines[@]}" >/run/memory.peak
	fi
	sleep 0.2
done' </dev/null >/dev/null 2>&1 &
`

// filling is what the image has besides a small system, in bytes.
const filling = 600 << 20

// fixed is what the programs take, and the kernel for the names of the files, whatever the payload is: of payloads below
// 800 MiB that is more than the tenth that else is enough. 62 MiB were measured.
const fixed = 80 << 20

// TestMemoryOfNodes boots an image of over 900 MiB in a machine of which it fills 60 %, with the default partscript, and
// in one that has no memory for the whole payload beside it. By the node's own /proc that takes no more than the image
// unpacked, the payload, and a tenth of it or what is fixed. A machine that it fills to 95 % refuses it before anything is downloaded.
func TestMemoryOfNodes(t *testing.T) {
	ctx := limit(t, 100*time.Minute)
	l := open(t, ctx)
	must(t, l.StartHead(ctx))
	c := &checker{t: t, ctx: ctx, l: l}
	tree := filepath.Join(l.Data(), "filled")
	c.head("cp", "-a", l.Image.Root, tree)
	must(t, fill(tree, filling))
	must(t, l.DescribeImage(ctx, tree))
	must(t, l.WaitReady(ctx))
	_, err := l.LunaWithInput(ctx, sampler, "group", "change", "compute", "--prescript", "-e")
	must(t, err)
	r := c.newest()
	t.Logf("the image has %s unpacked, its payload %s", mib(r.Unpacked), mib(r.Payload))

	const address = "10.30.0.1"
	m, err := l.AddNodeLike(ctx, room.Machine{Firmware: room.BIOS, Memory: int(r.Unpacked * 10 / 6 >> 20)})
	must(t, err)
	must(t, m.Start(ctx))
	c.up("60 % of its memory as image", address)
	c.want(address, "findmnt -n -o FSTYPE /", "tmpfs")
	c.kept(address)
	before := c.peak(m, address, r)

	must(t, m.Stop())
	system := int64(m.Memory)<<20 - before["MemAvailable"]
	m.Memory = int((system + r.Unpacked + r.Payload*6/10 + 16<<20) >> 20)
	t.Logf("with half of the payload's memory left, in a machine of %d MiB", m.Memory)
	must(t, m.Start(ctx))
	c.up("little memory", address)
	if downloads := c.reports("node001", "install.download"); len(downloads) == 0 || downloads[len(downloads)-1].Values["bytes_at_once"] == "" {
		t.Errorf("it kept the whole payload: %v", downloads)
	}
	c.kept(address)
	c.peak(m, address, r)

	must(t, m.Stop())
	m.Memory = int(r.Unpacked * 100 / 95 >> 20)
	t.Logf("the image fills a machine of %d MiB to 95 %%", m.Memory)
	must(t, m.Start(ctx))
	for _, part := range []string{"image compute needs ", "this machine has ", " are free"} {
		must(t, c.why("node001", "install.partscript", part))
		c.console(m, part)
	}
	if story := story(ctx, l, "node001"); !strings.Contains(story, "image compute needs ") {
		t.Errorf("it does not say why it was refused:\n%s", story)
	}
	if downloads := c.reports("node001", "install.download"); len(downloads) > 0 {
		t.Errorf("it was refused after a download had begun: %v", downloads)
	}
}

// peak prints what memory the node's installation took, and fails when that is more than it should be. It returns what
// there was before.
func (c *checker) peak(m *room.Machine, address string, r packed) (before map[string]int64) {
	c.t.Helper()
	before = meminfo(c.t, c.ssh(address, "cat /run/memory.before"))
	least := meminfo(c.t, c.ssh(address, "cat /run/memory.peak"))
	took, bound := before["MemAvailable"]-least["MemAvailable"], r.Unpacked+r.Payload+max(r.Payload/10, fixed)
	c.t.Logf("a machine of %d MiB, of which its kernel has %s: %s are used before the download, %s at the peak; that is %s more, "+
		"%.2f of the image unpacked, the payload, and a tenth of it or 80 MiB (%s)", m.Memory, mib(before["MemTotal"]), mib(before["MemTotal"]-before["MemAvailable"]),
		mib(least["MemTotal"]-least["MemAvailable"]), mib(took), float64(took)/float64(bound), mib(bound))
	for _, name := range []string{"MemFree", "Shmem", "AnonPages", "Slab", "Cached", "PageTables"} {
		c.t.Logf("  %s was %s, at the peak %s", name, mib(before[name]), mib(least[name]))
	}
	if took < r.Unpacked || took > bound {
		c.t.Errorf("the installation took %s, want %s to %s", mib(took), mib(r.Unpacked), mib(bound))
	}
	return before
}

// reports returns what a node's newest boot reported of a step.
func (c *checker) reports(node, step string) (all []*bootscriptv1.Report) {
	c.t.Helper()
	rep, err := c.l.Steps(c.ctx, node)
	must(c.t, err)
	for _, s := range rep.Steps {
		if s.Report.Name == step {
			all = append(all, s.Report)
		}
	}
	return all
}

// meminfo returns the lines of a meminfo file in bytes, proc(5).
func meminfo(t *testing.T, text string) map[string]int64 {
	t.Helper()
	values := map[string]int64{}
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(line, ":")
		var kib int64
		if _, err := fmt.Sscan(rest, &kib); err == nil {
			values[name] = kib << 10
		}
	}
	if values["MemTotal"] == 0 || values["MemAvailable"] == 0 {
		t.Fatalf("the node's meminfo is %q", text)
	}
	return values
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// fill puts so many bytes of files into an image that compress as its programs and data do: copies of these in which
// every byte is another one, so that none is like the first or another copy.
func fill(tree string, bytes int64) error {
	for mask := byte(1); bytes > 0; mask++ {
		for _, dir := range []string{"usr/lib", "usr/share"} {
			to := filepath.Join(tree, "opt", fmt.Sprintf("copy%d", mask), dir)
			n, err := copyChanged(filepath.Join(tree, dir), to, mask, bytes)
			if err != nil {
				return err
			}
			bytes -= n
		}
	}
	return nil
}

// errFull ends a walk that has copied enough.
var errFull = errors.New("there is enough")

// copyChanged copies files of a directory with every byte changed by mask, until there are enough.
func copyChanged(from, to string, mask byte, enough int64) (copied int64, err error) {
	err = filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if copied >= enough {
			return errFull
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i := range data {
			data[i] ^= mask
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		name := filepath.Join(to, rel)
		copied += int64(len(data))
		return errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, data, 0o644))
	})
	if errors.Is(err, errFull) {
		err = nil
	}
	return copied, err
}

// TestFilling: what fills an image takes the space that was asked for, and no two files in it are alike.
func TestFilling(t *testing.T) {
	tree := t.TempDir()
	for _, name := range []string{"usr/lib/a", "usr/share/b"} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(tree, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(tree, name), []byte(strings.Repeat("words ", 100)), 0o644))
	}
	must(t, fill(tree, 2000))
	var seen []string
	must(t, filepath.WalkDir(filepath.Join(tree, "opt"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		seen = append(seen, string(data[:6]))
		return err
	}))
	slices.Sort(seen)
	if want := []string{"umpfq\"", "umpfq\"", "vnser!", "vnser!"}; !slices.Equal(seen, want) {
		t.Errorf("filled with %q, want %q", seen, want)
	}
}
