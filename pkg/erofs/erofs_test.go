package erofs

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestFillLosesLittle(t *testing.T) {
	var all []small
	sum := 0
	for i := range 2000 {
		size := inodeSize + i*37%3900
		all = append(all, small{bytes: make([]byte, size)})
		sum += size
	}
	blocks := fill(all)
	count := 0
	for _, b := range blocks {
		used := int64(0)
		for _, s := range b {
			used += up(int64(len(s.bytes)), slotSize)
			count++
		}
		if used > BlockSize {
			t.Fatalf("a block holds %d bytes", used)
		}
	}
	if count != len(all) || len(blocks)*BlockSize > sum*105/100 {
		t.Errorf("%d of %d inodes, %d bytes, are in %d blocks", count, len(all), sum, len(blocks))
	}
}

func TestXattrNames(t *testing.T) {
	for name, want := range map[string]struct {
		index byte
		rest  string
	}{
		"user.a": {1, "a"}, "system.posix_acl_access": {2, ""}, "system.posix_acl_default": {3, ""}, "trusted.x.y": {4, "x.y"}, "security.capability": {6, "capability"},
	} {
		if index, rest, err := splitXattr(name); index != want.index || rest != want.rest || err != nil {
			t.Errorf("%s: %d %q %v", name, index, rest, err)
		}
	}
	for _, name := range []string{"user.", "system.nfs4_acl", "system.posix_acl_access2", "other"} {
		if _, _, err := splitXattr(name); err == nil || !strings.Contains(err.Error(), "EROFS has no attribute "+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestContentMustBeWhatWasSaid(t *testing.T) {
	d := NewData(&bytes.Buffer{})
	for _, size := range []int64{10, 10_000} {
		if _, err := d.Begin(File{}, false, size); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Write(make([]byte, size+1)); !errors.Is(err, errLong) {
			t.Errorf("too much of %d bytes: %v", size, err)
		}
		if _, err := d.Write(make([]byte, size-1)); err != nil {
			t.Errorf("some of %d bytes: %v", size, err)
		}
		if err := d.Close(); !errors.Is(err, errShort) {
			t.Errorf("too little of %d bytes: %v", size, err)
		}
		if _, err := d.Write(make([]byte, 1)); err != nil {
			t.Errorf("the rest of %d bytes: %v", size, err)
		}
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

func TestIndexRefuses(t *testing.T) {
	x, err := NewIndex(File{})
	if err != nil {
		t.Fatal(err)
	}
	dir, link := File{Mode: 0o040755}, File{Mode: 0o120777}
	if err := errors.Join(x.Add("d", dir, -1, nil, nil), x.Add("d/l", link, -1, nil, []byte("x"))); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"comes before its directory": x.Add("no/where", link, -1, nil, []byte("x")),
		"is there twice":             x.Add("d", dir, -1, nil, nil),
		"which is not there":         x.Link("e", "none"),
		"d is a link to d/l/x":       x.Link("d", "d/l/x"),
	} {
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, want %q", err, what)
		}
	}
	if _, err := x.Encode(nil, 1); err == nil {
		t.Error("an index without a layout was encoded")
	}
}
