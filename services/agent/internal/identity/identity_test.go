package identity

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/luna-hpc/luna/services/agent/internal/sysroot"
)

const node001 = `{"node":"node001","hostname":"node001.cluster","machine_id":"0123456789abcdef0123456789abcdef",
"hosts":[{"address":"10.30.0.1","names":["node001.cluster","node001"]},{"address":"fd00::fe","names":["head.cluster","head"]}]}`

func image(t *testing.T, files map[string]string) (*sysroot.Tree, string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/etc", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := sysroot.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	return tree, dir
}

func TestWrite(t *testing.T) {
	id, err := Parse(strings.NewReader(node001))
	if err != nil {
		t.Fatal(err)
	}
	tree, dir := image(t, map[string]string{
		"etc/hosts": "127.0.0.1\tlocalhost\n# mine", "etc/machine-id": "", "etc/hostname": "image\n",
	})
	changed, err := id.Write(tree)
	if err != nil || len(changed) != 3 {
		t.Fatalf("changed %v, %v", changed, err)
	}
	for name, want := range map[string]string{
		"etc/hostname":   "node001.cluster\n",
		"etc/machine-id": "0123456789abcdef0123456789abcdef\n",
		"etc/hosts": "127.0.0.1\tlocalhost\n# mine\n# BEGIN luna: written at each boot\n" +
			"10.30.0.1\tnode001.cluster node001\nfd00::fe\thead.cluster head\n# END luna\n",
	} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s has\n%swant\n%s%v", name, got, want, err)
		}
	}
	if info, err := os.Stat(dir + "/etc/machine-id"); err != nil || info.Mode() != 0o444 {
		t.Errorf("machine-id is %v, %v", info.Mode(), err)
	}
	if changed, err := id.Write(tree); err != nil || len(changed) != 0 {
		t.Errorf("the second time changed %v, %v", changed, err)
	}
}

func TestLinesAroundTheBlockStay(t *testing.T) {
	id, err := Parse(strings.NewReader(node001))
	if err != nil {
		t.Fatal(err)
	}
	tree, _ := image(t, map[string]string{"etc/hosts": "a\n" + begin + "10.0.0.9\told\n" + end + "b\n"})
	if _, err := id.Write(tree); err != nil {
		t.Fatal(err)
	}
	got, err := tree.Read("etc/hosts")
	if err != nil || !strings.HasPrefix(string(got), "a\n"+begin+"10.30.0.1\t") || !strings.HasSuffix(string(got), end+"b\n") || strings.Contains(string(got), "old") {
		t.Errorf("hosts are\n%s%v", got, err)
	}
}

func TestBlockWithoutEnd(t *testing.T) {
	id, err := Parse(strings.NewReader(node001))
	if err != nil {
		t.Fatal(err)
	}
	tree, _ := image(t, map[string]string{"etc/hosts": "a\n" + begin + "b\n"})
	if changed, err := id.Write(tree); err == nil || changed != nil {
		t.Errorf("changed %v, %v", changed, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{`"node":"node001"`, `"nod":"node001"`, `unknown field "nod"`},
		{"node001.cluster\",\"m", "a b\",\"m", `"a b" is no host name`},
		{"abcdef\"", "ABCDEF\"", "machine id"},
		{"0123456789abcdef0123456789abcdef", strings.Repeat("0", 32), "machine id"},
		{"10.30.0.1", "10.30.0", "IPv4 address too short"},
		{`["head.cluster","head"]`, `[]`, "has no address or no name"},
		{`"head"`, `"he\nad"`, "is no host name"},
	} {
		if !strings.Contains(node001, c.old) {
			t.Fatalf("%q is not in the text", c.old)
		}
		_, err := Parse(strings.NewReader(strings.Replace(node001, c.old, c.new, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.new, err, c.want)
		}
	}
}

func TestOrderOfChanges(t *testing.T) {
	id, err := Parse(strings.NewReader(node001))
	if err != nil {
		t.Fatal(err)
	}
	tree, _ := image(t, map[string]string{"etc/hostname": "node001.cluster\n"})
	if changed, err := id.Write(tree); err != nil || !slices.Equal(changed, []string{"etc/hosts", "etc/machine-id"}) {
		t.Errorf("changed %v, %v", changed, err)
	}
}
