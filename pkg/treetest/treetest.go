// Package treetest makes directories with all that a system may hold, and lets foreign programs compare them.
package treetest

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/luna-hpc/luna/pkg/testenv"
)

// witness is a program that tells something of a tree.
type witness struct {
	name string
	// script runs in the tree's directory.
	script string
	// end ends what is told of one file.
	end string
}

// witnesses look for what rsync does not compare, and again at what it does.
var witnesses = []witness{
	{"getfattr", "getfattr -h -P -d -m - -e hex -R . | sed '/^trusted.SGI_ACL_/d'", "\n\n"},
	{"getcap", "getcap -r .", "\n"},
	{"getfacl", "getfacl -P -p -n -R .", "\n\n"},
	{"stat", `find . ! -type d -exec stat --printf '%n: %F, mode %a, owner %u:%g, device %t:%T, links %h, bytes %s, time %.9Y\0' {} +`, "\x00"},
	{"stat", `find . -type d -exec stat --printf '%n: mode %a, owner %u:%g, time %.9Y\0' {} +`, "\x00"},
	{"readlink", `find . -type l -printf '%p -> %l\0'`, "\x00"},
}

// holes tells where files over 1 MB have data, for which there is SEEK_DATA.
var holes = witness{"xfs_io", `find . -type f -size +1M -print0 | while IFS= read -r -d '' f; do printf '%s: ' "$f"; xfs_io -r -c 'seek -a -r 0' "$f" | tr '\n' ' '; printf '\0'; done`, "\x00"}

// Differences returns what rsync, getfattr, getcap, getfacl and stat find to be different in the directory got from
// want: content, kinds, owners, modes, times to the nanosecond, hard links, devices, every extended attribute and access
// list, also of the directories themselves. The programs' words, one line each; none when all is the same.
func Differences(t testing.TB, want, got string) []string {
	t.Helper()
	all := lines(run(t, want, testenv.Program(t, "rsync"), "-aHAXnic", "--modify-window=-1", "--numeric-ids", "--filter=-x trusted.SGI_ACL_*", "--delete", want+"/", got+"/"), "\n")
	for i := range all {
		all[i] = "rsync: " + all[i]
	}
	for _, w := range witnesses {
		all = append(all, w.compare(t, want, got)...)
	}
	return all
}

// Holes returns in which files over 1 MB the holes of the directory got are elsewhere than those of want.
func Holes(t testing.TB, want, got string) []string {
	t.Helper()
	return holes.compare(t, want, got)
}

func (w witness) compare(t testing.TB, want, got string) (all []string) {
	t.Helper()
	testenv.Program(t, w.name)
	before, after := w.tell(t, want), w.tell(t, got)
	for _, x := range before {
		if _, found := slices.BinarySearch(after, x); !found {
			all = append(all, fmt.Sprintf("%s: - %q", w.name, x))
		}
	}
	for _, x := range after {
		if _, found := slices.BinarySearch(before, x); !found {
			all = append(all, fmt.Sprintf("%s: + %q", w.name, x))
		}
	}
	return all
}

func (w witness) tell(t testing.TB, dir string) []string {
	t.Helper()
	all := lines(run(t, dir, "bash", "-o", "pipefail", "-c", w.script), w.end)
	slices.Sort(all)
	return all
}

func lines(text, end string) (all []string) {
	for line := range strings.SplitSeq(text, end) {
		if line != "" {
			all = append(all, line)
		}
	}
	return all
}

func run(t testing.TB, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C")
	var failed strings.Builder
	cmd.Stderr = &failed
	out, err := cmd.Output()
	if err != nil || failed.Len() > 0 {
		t.Fatalf("%s in %s: %v\n%s", name, dir, err, failed.String())
	}
	return string(out)
}
