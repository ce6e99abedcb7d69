package graft

import (
	"path/filepath"
	"testing"

	"github.com/luna-hpc/luna/pkg/testenv"
)

// TestWhatGoesGoesLast wants a library in place before the one that it replaces goes.
func TestWhatGoesGoesLast(t *testing.T) {
	from, dir := t.TempDir(), filepath.Join(t.TempDir(), "image")
	testenv.Shell(t, `mkdir -p "$1/lib" "$2/lib" "$2/opt/dir"
echo new >"$1/lib/libc-2.so"; ln -s libc-2.so "$1/lib/libc.so"; echo f >"$1/opt"; ln "$1/opt" "$1/second"
echo old >"$2/lib/libc-1.so"; ln -s libc-1.so "$2/lib/libc.so"; echo x >"$2/opt/dir/x"; mkdir "$2/gone"; echo y >"$2/gone/y"`, from, dir)
	acts, _ := prepared(t, from, dir)
	at := map[string]int{}
	for i, a := range acts {
		if a.Header == nil {
			at[a.Name+map[bool]string{true: " goes"}[a.Via == remove]] = i + 1
		}
	}
	for _, pair := range [][2]string{{"lib/libc-2.so", "lib/libc-1.so goes"}, {"lib/libc.so", "lib/libc-1.so goes"}, {"second", "gone/y goes"}, {"gone/y goes", "gone goes"},
		{"opt/dir/x goes", "opt/dir goes"}, {"opt/dir goes", "opt goes"}, {"opt goes", "opt"}} {
		if first, then := at[pair[0]], at[pair[1]]; first == 0 || then == 0 || first > then {
			t.Errorf("%s is act %d, %s is act %d", pair[0], first, pair[1], then)
		}
	}
}
