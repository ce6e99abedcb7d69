package library_test

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/luna-hpc/luna/services/image-packer/internal/library"
	"github.com/luna-hpc/luna/services/image-packer/internal/tree"
)

func resolver(t *testing.T, root string) *library.Resolver {
	t.Helper()
	r, err := library.NewResolver(tree.At(root))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestAsLdd compares with what this machine's ldd says of its own programs.
func TestAsLdd(t *testing.T) {
	r := resolver(t, "/")
	for _, name := range []string{"/bin/bash", "/usr/bin/udevadm", "/bin/mount", "/usr/bin/tar"} {
		if _, err := os.Stat(name); err != nil {
			continue
		}
		out, err := exec.CommandContext(t.Context(), "ldd", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for line := range strings.Lines(string(out)) {
			if words := strings.Fields(line); len(words) >= 2 && words[0] != "linux-vdso.so.1" {
				want = append(want, filepath.Base(words[0]))
			}
		}
		needs, err := r.Needs(name)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range needs {
			got = append(got, filepath.Base(n))
		}
		slices.Sort(want)
		slices.Sort(got)
		got = slices.Compact(got) // the loader is named by path and by libc
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-ldd +ours):\n%s", name, diff)
		}
	}
}

func TestNeedsInAnOddPlace(t *testing.T) {
	root := t.TempDir()
	install(t, root, "opt/app/bin/tool", dynamicELF("/lib64/ld.so", "$ORIGIN/../lib", "libone.so"))
	install(t, root, "opt/app/lib/libone.so", dynamicELF("", "", "libtwo.so"))
	install(t, root, "opt/vendor/libtwo.so.2.0", dynamicELF("", ""))
	install(t, root, "usr/lib/libtwo.so", []byte("not for this machine"))
	install(t, root, "etc/ld.so.conf", []byte("include ld.so.conf.d/*.conf\n"))
	install(t, root, "etc/ld.so.conf.d/vendor.conf", []byte("# ours\n/opt/vendor\n"))
	if err := os.Symlink("libtwo.so.2.0", filepath.Join(root, "opt/vendor/libtwo.so")); err != nil {
		t.Fatal(err)
	}
	got, err := resolver(t, root).Needs("opt/app/bin/tool")
	want := []string{"lib64/ld.so", "opt/app/lib/libone.so", "opt/vendor/libtwo.so"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestNeedsNamesWhatIsMissing(t *testing.T) {
	root := t.TempDir()
	install(t, root, "bin/tool", dynamicELF("", "", "libnone.so.1"))
	install(t, root, "bin/script", []byte("#!/bin/sh\n"))
	r := resolver(t, root)
	if _, err := r.Needs("bin/tool"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "libnone.so.1") {
		t.Errorf("got %v", err)
	}
	if needs, err := r.Needs("bin/script"); err != nil || needs != nil {
		t.Errorf("a script needs %v, %v", needs, err)
	}
}

func install(t *testing.T, root, name string, data []byte) {
	t.Helper()
	p := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, data, 0o755); err != nil {
		t.Fatal(err)
	}
}

// dynamicELF is the smallest x86-64 file with an interpreter and a dynamic section.
func dynamicELF(interp, runpath string, needed ...string) []byte {
	const (
		headers = 64 + 2*56
		shdr    = 64
	)
	le := binary.LittleEndian
	strs := []byte{0}
	str := func(s string) uint64 {
		at := len(strs)
		strs = append(append(strs, s...), 0)
		return uint64(at)
	}
	var dyn []byte
	add := func(tag, value uint64) { dyn = le.AppendUint64(le.AppendUint64(dyn, tag), value) }
	for _, n := range needed {
		add(1, str(n)) // DT_NEEDED
	}
	if runpath != "" {
		add(29, str(runpath)) // DT_RUNPATH
	}
	add(0, 0)
	interpAt := uint64(headers)
	dynAt := (interpAt + uint64(len(interp)) + 1 + 7) &^ 7
	strAt := dynAt + uint64(len(dyn))
	secAt := (strAt + uint64(len(strs)) + 7) &^ 7

	b := []byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	b = le.AppendUint16(b, 3)  // ET_DYN
	b = le.AppendUint16(b, 62) // EM_X86_64
	b = le.AppendUint32(b, 1)
	b = le.AppendUint64(b, 0)
	b = le.AppendUint64(b, 64)
	b = le.AppendUint64(b, secAt)
	b = le.AppendUint32(b, 0)
	for _, v := range []uint16{64, 56, 2, shdr, 3, 2} {
		b = le.AppendUint16(b, v)
	}
	program := func(kind uint32, at, size uint64) {
		b = le.AppendUint32(le.AppendUint32(b, kind), 4)
		for _, v := range []uint64{at, at, at, size, size, 1} {
			b = le.AppendUint64(b, v)
		}
	}
	if interp != "" {
		program(3, interpAt, uint64(len(interp))+1)
	} else {
		program(0, 0, 0)
	}
	program(2, dynAt, uint64(len(dyn)))
	b = append(append(b, interp...), 0)
	b = append(b, make([]byte, dynAt-uint64(len(b)))...)
	b = append(append(b, dyn...), strs...)
	b = append(b, make([]byte, secAt-uint64(len(b)))...)
	section := func(kind uint32, at, size uint64, link uint32, entry uint64) {
		b = le.AppendUint32(le.AppendUint32(b, 0), kind)
		for _, v := range []uint64{0, 0, at, size} {
			b = le.AppendUint64(b, v)
		}
		b = le.AppendUint32(le.AppendUint32(b, link), 0)
		b = le.AppendUint64(le.AppendUint64(b, 1), entry)
	}
	section(0, 0, 0, 0, 0)
	section(6, dynAt, uint64(len(dyn)), 2, 16) // SHT_DYNAMIC
	section(3, strAt, uint64(len(strs)), 0, 0) // SHT_STRTAB
	return b
}
