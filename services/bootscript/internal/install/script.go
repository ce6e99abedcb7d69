// Package install writes the script that installs a node.
package install

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"text/template"

	"github.com/luna-hpc/luna/pkg/release"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
)

//go:embed install.bash
var text string

var script = template.Must(template.New("install").Funcs(template.FuncMap{"quote": quote}).Parse(text))

// Script is all that an install script holds. The operator's parts stand in it
// as they were typed.
type Script struct {
	Node, Osimage                     string
	Prescript, Partscript, Postscript string
	Manifest, Torrent                 release.Digest
	// Root is that of the group: the partscript must leave it, and one that is an overlay has none.
	Root string
	// BMC is nil when the controller is not to be set up.
	BMC      *BMC
	Identity Identity
	Network  Network
}

// Render returns the script for bash.
func (s Script) Render() (string, error) {
	identity, err := encode(s.Identity)
	if err != nil {
		return "", err
	}
	network, err := encode(s.Network)
	if err != nil {
		return "", err
	}
	controller := ""
	if s.BMC != nil {
		text, err := encode(s.BMC)
		if err != nil {
			return "", err
		}
		controller = heredoc("bmc", "bmc", text)
	}
	if strings.ContainsAny(s.Node, "\r\n") {
		return "", fmt.Errorf("node name %q has a line end", s.Node)
	}
	var b strings.Builder
	err = script.Execute(&b, map[string]any{
		"Node": s.Node, "Osimage": s.Osimage, "Manifest": s.Manifest, "Torrent": s.Torrent,
		"Prescript": s.Prescript, "Partscript": s.partscript(), "Postscript": s.Postscript,
		"Identity": identity, "Network": network, "BMC": controller,
		"Step": func(name, text string) string { return heredoc("step "+name, name, text) },
		"Data": func(name, text string) string { return heredoc(name, name, text) },
	})
	if err != nil {
		return "", fmt.Errorf("write install script of %s: %w", s.Node, err)
	}
	return b.String(), nil
}

// partscript returns the call that runs the partscript: the agent says when that left another root than it should.
func (s Script) partscript() string {
	const name = "partscript"
	switch s.Root {
	case inventoryv1.RootOverlay:
		return ""
	case inventoryv1.RootAny:
		return heredoc("step "+name, name, s.Partscript)
	}
	// Agents of older initrds refuse a flag that they do not know, but not a variable.
	return "LUNA_ROOT=" + s.Root + " " + heredoc("step "+name, name, s.Partscript)
}

// heredoc returns a call of the agent with a text on its standard input, and
// the line end after it. The delimiter is a word that the text does not hold.
func heredoc(call, name, text string) string {
	word := "LUNA_EOF_" + name
	for n := 1; strings.Contains(text, word); n++ {
		word = fmt.Sprintf("LUNA_EOF_%s_%d", name, n)
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return fmt.Sprintf("luna-agent %s <<'%s' || exit 1\n%s%s\n", call, word, text, word)
}

// quote returns s as one word for a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func encode(v any) (string, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("write install script: %w", err)
	}
	return string(data), nil
}
