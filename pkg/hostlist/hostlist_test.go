package hostlist_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/hostlist"
	"github.com/luna-hpc/luna/pkg/testenv"
)

// lists are read alike by everybody.
var lists = []struct{ list, names string }{
	{"node1", "node1"},
	{"node[001-003,7]", "node001 node002 node003 node7"},
	{"node[01-02]-ib[0,1]", "node01-ib0 node01-ib1 node02-ib0 node02-ib1"},
	{"a,b[9-11],c.d_e", "a b9 b10 b11 c.d_e"},
	{"node[098-101]", "node098 node099 node100 node101"},
	{"n[0-1]x,n[00-01]x", "n0x n1x n00x n01x"},
	{"n[1-2]3", "n13 n23"},
	{"[5-6]", "5 6"},
	{"n[2,1,2],n1", "n2 n1"},
	{"r1[1]c[3]", "r11c3"},
}

func TestExpand(t *testing.T) {
	for _, c := range lists {
		got, err := hostlist.Expand(100, c.list)
		if err != nil || strings.Join(got, " ") != c.names {
			t.Errorf("%s: %q, %v; want %s", c.list, got, err, c.names)
		}
	}
	got, err := hostlist.Expand(3, "n[1-2]", "n3")
	if err != nil || !slices.Equal(got, []string{"n1", "n2", "n3"}) {
		t.Errorf("several lists: %q, %v", got, err)
	}
}

func TestWrongListsSayWhatAndWhere(t *testing.T) {
	for list, want := range map[string]string{
		"":               `host list "", character 1: a name is missing`,
		"a,,b":           `host list "a,,b", character 3: a name is missing`,
		"a,":             "character 3: a name is missing",
		"node[1-3":       "character 5: [ without ]",
		"node1]":         "character 6: ] without [",
		"node[1-3]]":     "character 10: ] without [",
		"n[[1]]":         "character 3: a bracket in a bracket",
		"n[1][2]":        "character 5: two brackets need a text between them",
		"n[1]2[3]":       "character 6: two brackets need a text between them",
		"n[]":            "character 3: a number is missing in the bracket",
		"n[1,,3]":        "character 5: a number is missing in the bracket",
		"n[1,x]":         `character 5: "x" is no number and no range such as 001-003`,
		"n[1-]":          `character 3: "1-" is no number`,
		"n[-1]":          `character 3: "-1" is no number`,
		"n[1-2-3]":       `character 3: "1-2-3" is no number`,
		"n[0-8/2]":       `character 3: "0-8/2" is no number`,
		"n[ 1]":          `character 3: " 1" is no number`,
		"n[7-3]":         "character 3: the range 7-3 runs backwards",
		"n[001-10]":      "character 3: the ends of the range 001-10 are not equally wide",
		"n[8-010]":       "not equally wide",
		"n[08-100]":      "not equally wide",
		"a b":            "character 2: a space; lists have commas between names",
		"@compute":       "character 1: '@' is in no name",
		"n[1-2]ä":        "character 7: 'ä' is in no name",
		"n[1-3],n[1-48]": `more than 50 names in "n[1-3],n[1-48]": the limit is 50 at a time`,
		"n[0-9]-[0-9]":   "the limit is 50",
		"n[0-999999999999999999]-[0-999999999999999999]": "the limit is 50",
		"n[0-1234567890123456789]":                       "more than 18 digits",
	} {
		_, err := hostlist.Expand(50, list)
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", list, err, want)
		}
	}
}

func TestFold(t *testing.T) {
	for names, want := range map[string]string{
		"":                                "",
		"node001":                         "node001",
		"node003 node001 node002 node001": "node[001-003]",
		"login node2 node10 node1":        "login,node[1-2,10]",
		"n9 n10 n11":                      "n[9-11]",
		"n08 n09 n10 n99 n100":            "n[08-10,99-100]",
		"n1 n01 n001":                     "n[1,01,001]",
		"n098 n099 n100":                  "n[098-100]",
		"node01-ib0 node01-ib1 node02-ib0 node02-ib1": "node[01-02]-ib[0-1]",
		"r1c1 r1c2 r2c1":                      "r1c[1-2],r2c1",
		"r1c1 r2c1 r2c2 r3c2":                 "r[1-2]c1,r[2-3]c2",
		"b a b":                               "a,b",
		"1 2 x-1.y":                           "[1-2],x-1.y",
		"n12345678901234567890 n1":            "n1,n12345678901234567890",
		"node001.cluster node002.cluster hub": "hub,node[001-002].cluster",
	} {
		if got := hostlist.Fold(strings.Fields(names)); got != want {
			t.Errorf("%s: %s, want %s", names, got, want)
		}
	}
}

func TestCompareCountsAsPeopleDo(t *testing.T) {
	names := strings.Fields("node10 node2 a node2-ib1 node2-ib0 node")
	slices.SortFunc(names, hostlist.Compare)
	if got := strings.Join(names, " "); got != "a node node2 node2-ib0 node2-ib1 node10" {
		t.Error(got)
	}
}

// TestWhatIsFoldedUnfolds holds for all names.
func TestWhatIsFoldedUnfolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfDistinct(rapid.StringMatching(`[an]?(-?[0-3]{1,3}){0,3}[a-c]{0,1}|[a-z0-9._-]{1,12}`).
			Filter(func(s string) bool { return s != "" }), rapid.ID[string]).Draw(t, "names")
		list := hostlist.Fold(names)
		got := []string{}
		if len(names) > 0 {
			var err error
			if got, err = hostlist.Expand(len(names), list); err != nil {
				t.Fatalf("%s: %v", list, err)
			}
		}
		slices.Sort(names)
		slices.Sort(got)
		if !slices.Equal(got, names) {
			t.Fatalf("%q became %s, which is %q", names, list, got)
		}
	})
}

func FuzzExpand(f *testing.F) {
	for _, c := range lists {
		f.Add(c.list)
	}
	f.Add("n[001-10],[")
	f.Fuzz(func(t *testing.T, list string) {
		names, err := hostlist.Expand(1000, list)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatal(err)
			}
			return
		}
		again, err := hostlist.Expand(1000, hostlist.Fold(names))
		slices.Sort(names)
		slices.Sort(again)
		if err != nil || !slices.Equal(names, again) {
			t.Fatalf("%q: %q, again %q, %v", list, names, again, err)
		}
	})
}

// TestClusterShellAgrees asks nodeset what lists and folded names mean.
func TestClusterShellAgrees(t *testing.T) {
	nodeset := testenv.Program(t, "nodeset")
	ask := func(args ...string) []string {
		out, err := exec.Command(nodeset, args...).Output()
		if err != nil {
			t.Errorf("nodeset %q: %v", args, err)
		}
		names := strings.Fields(string(out))
		slices.Sort(names)
		return names
	}
	for _, c := range lists {
		want := slices.Compact(slices.Sorted(slices.Values(strings.Fields(c.names))))
		if got := ask("-e", c.list); !slices.Equal(got, want) {
			t.Errorf("%s is %q, here %q", c.list, got, want)
		}
		if got := ask("-e", hostlist.Fold(want)); !slices.Equal(got, want) {
			t.Errorf("%s is %q, folded from %q", hostlist.Fold(want), got, want)
		}
	}
}
