package bridgemib

import (
	"strings"
	"testing"
)

func TestPassPersist(t *testing.T) {
	rows := []Row{{[]uint32{1, 3, 10}, 5}, {[]uint32{1, 3, 2, 300}, 7}}
	said := "PING\nget\n.1.3.10\nget\n.1.3.2\ngetnext\n.1.3.2\ngetnext\n.1.3.2.300\ngetnext\n.1.3.10\ngetnext\n.1.x\nset\n.1.3.10\ninteger 4\nPING\n"
	want := "PONG\n.1.3.10\ninteger\n5\nNONE\n.1.3.2.300\ninteger\n7\n.1.3.10\ninteger\n5\nNONE\nNONE\nnot-writable\nPONG\n"
	var out strings.Builder
	if err := Serve(strings.NewReader(said), &out, func() ([]Row, error) { return rows, nil }); err != nil || out.String() != want {
		t.Errorf("%v\n%s", err, out.String())
	}
	for _, bad := range []string{"HELLO\n", "get\n"} {
		if err := Serve(strings.NewReader(bad), &out, func() ([]Row, error) { return rows, nil }); err == nil {
			t.Errorf("%q is answered", bad)
		}
	}
}
