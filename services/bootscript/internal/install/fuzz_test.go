package install_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/luna-hpc/luna/pkg/testenv"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/bootscript/internal/install"
)

// judge stands for the agent: it tells its arguments and what it reads. Nothing
// else can be run.
const judge = `PATH=/nonexistent
luna-agent() {
	local read=
	printf '\1%s' "$*"
	[ -p /dev/stdin ] || [ -f /dev/stdin ] && IFS= read -r -d '' read
	printf '\2%s\3' "$read"
	return 0
}
command_not_found_handle() { printf '\4%s' "$1"; return 127; }
exec </dev/null
`

// call is one call of the agent.
type call struct{ words, input string }

// run lets bash run a script with the judge in the place of the agent.
func run(t *testing.T, bash, script string) (calls []call) {
	t.Helper()
	syntax := exec.Command(bash, "-n")
	syntax.Stdin = strings.NewReader(script)
	if out, err := syntax.CombinedOutput(); err != nil {
		t.Errorf("bash -n: %v: %s\n%s", err, out, script)
	}
	var said, trouble bytes.Buffer
	file := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(file, []byte(judge+script+"\nprintf '%s' \"$LUNA_OSIMAGE\""), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bash, "--noprofile", "--norc", file)
	cmd.Env, cmd.Stdout, cmd.Stderr = []string{}, &said, &trouble
	if err := cmd.Run(); err != nil || trouble.Len() > 0 {
		t.Fatalf("bash: %v: %s\n%s", err, trouble.String(), script)
	}
	parts := strings.Split(said.String(), "\x03")
	for _, p := range parts[:len(parts)-1] {
		words, input, ok := strings.Cut(strings.TrimPrefix(p, "\x01"), "\x02")
		if !ok || !strings.HasPrefix(p, "\x01") {
			t.Fatalf("said %q\n%s", p, script)
		}
		calls = append(calls, call{words, input})
	}
	return append(calls, call{"LUNA_OSIMAGE", parts[len(parts)-1]})
}

// ended is a text as it arrives: with its last line ended.
func ended(text string) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text
}

// FuzzInstall looks whether the agent gets an operator's texts byte for byte, and
// whether bash does nothing else, whatever stands in the inventory.
func FuzzInstall(f *testing.F) {
	bash := testenv.Program(f, "bash")
	f.Add("node001", "compute", "cluster", "echo pre", "mount -t tmpfs tmpfs /sysroot", "echo post\n", "MTU=9000")
	for _, bad := range []string{"", "\n", "'", "\"", "\\", "a'b", "'; reboot; '", "$(reboot)", "`reboot`", "a\nreboot", "a\n\nreboot", "EOF", "LUNA_EOF_prescript", "LUNA_EOF_prescript\nreboot\n",
		"LUNA_EOF_partscript\n", "LUNA_EOF_postscript_1\nLUNA_EOF_postscript", "x\nLUNA_EOF_identity\nreboot", "LUNA_EOF_network\n", "LUNA_EOF_bmc", "cat <<EOF\na\nEOF", "<<'EOF'", "\\\n", "a\\", "${IFS}",
		"#", "!!", "exit 0", "if", "((", "é", "\t", strings.Repeat("x", 70000), "{{.Node}}", "</script>", "\u2028"} {
		f.Add(bad, "compute", "cluster", "a", "b", "c", "d")
		f.Add("node001", bad, "cluster", "a", "b", "c", "d")
		f.Add("node001", "compute", bad, "a", "b", "c", "d")
		f.Add("node001", "compute", "cluster", bad, bad, bad, "d")
		f.Add("node001", "compute", "cluster", "a", "b", "c", bad)
	}
	f.Fuzz(func(t *testing.T, name, osimage, domain, pre, part, post, options string) {
		for _, text := range []string{name, osimage, domain, pre, part, post, options} {
			if inventoryv1.CheckText("text", text) != nil || strings.ToValidUTF8(text, "") != text {
				return // the inventory does not take it
			}
		}
		p := example()
		p.Node.Name, p.Osimage.Name, p.Domain = name, osimage, domain
		p.Group.Prescript, p.Group.Partscript, p.Group.Postscript = pre, part, post
		p.Group.Interfaces[0].Options, p.Bmcsetup.User, p.Network.NsHostname = options, options, options
		script, err := install.Of(p).Render()
		if err != nil {
			return // nothing is run
		}
		calls := run(t, bash, script)
		var words []string
		for _, c := range calls {
			words = append(words, strings.Join(strings.Fields(c.words)[:min(2, len(strings.Fields(c.words)))], " "))
		}
		want := []string{"step prescript", "bmc", "step partscript", "payload --manifest", "identity", "network", "step postscript", "finish", "LUNA_OSIMAGE"}
		if !slices.Equal(words, want) {
			t.Fatalf("bash did %q, not %q\n%s", words, want, script)
		}
		for i, text := range map[int]string{0: ended(pre), 2: ended(part), 6: ended(post), 8: osimage} {
			if calls[i].input != text {
				t.Errorf("%s got %q, not %q", calls[i].words, calls[i].input, text)
			}
		}
		for _, i := range []int{1, 4, 5} {
			if !json.Valid([]byte(calls[i].input)) {
				t.Errorf("%s got no JSON: %q", calls[i].words, calls[i].input)
			}
		}
	})
}
