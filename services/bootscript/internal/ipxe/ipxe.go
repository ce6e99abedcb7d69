// Package ipxe writes the scripts that iPXE and PXELINUX read.
package ipxe

import (
	"embed"
	"fmt"
	"strings"
	"text/template"
)

//go:embed *.ipxe *.syslinux
var files embed.FS

var texts = template.Must(template.New("").ParseFS(files, "*.ipxe", "*.syslinux"))

// MaxScript is the largest script in bytes: iPXE has little memory for them.
const MaxScript = 4000

// PerPage is how many nodes stand on one page of the list.
const PerPage = 24

// nics are the network cards whose addresses the menu sends.
var nics = []int{0, 1, 2, 3, 4, 5, 6, 7}

// Menu is the first script that a machine gets.
type Menu struct {
	// URL of the boot service, as in http://10.30.255.254:7050/luna.
	URL string
	// Head is what the menu calls the head.
	Head string
	// Others are the URLs of the other heads' boot services.
	Others []string
	// Wait is how many seconds the menu waits; 0 skips it.
	Wait uint32
}

// Script returns the menu.
func (m Menu) Script() (string, error) {
	if err := check(append(urls(m.Others), word{"URL", m.URL}, word{"head", m.Head})...); err != nil {
		return "", err
	}
	return render("boot.ipxe", map[string]any{
		"URL": m.URL, "Head": m.Head, "Wait": m.Wait > 0, "Timeout": int64(m.Wait) * 1000, "NICs": nics, "Others": m.Others,
	})
}

// Node is a line of the list of nodes.
type Node struct{ Name, MAC string }

// Choice is one page of the list of nodes.
type Choice struct {
	URL         string
	Page, Pages int
	Nodes       []Node
}

// Script returns the page.
func (c Choice) Script() (string, error) {
	words := []word{{"URL", c.URL}}
	for _, n := range c.Nodes {
		words = append(words, word{"node name", n.Name})
		if n.MAC != "" {
			words = append(words, word{"MAC", n.MAC})
		}
	}
	if err := check(words...); err != nil {
		return "", err
	}
	return render("choose.ipxe", map[string]any{
		"URL": c.URL, "Page": c.Page, "Pages": c.Pages, "Nodes": c.Nodes, "Next": c.Page + 1, "Back": c.Page - 1,
	})
}

// Boot is what a node loads.
type Boot struct {
	Node, Osimage string
	// Kernel and Initrd are URLs.
	Kernel, Initrd string
	// Again are the URLs to ask, one after the other, when they do not load.
	Again []string
	// Line is the kernel's command line without initrd=.
	Line string
}

// Script returns the script for iPXE. The initrd has a name because UEFI
// kernels find it by that name only.
func (b Boot) Script() (string, error) {
	b.Line = "initrd=initrd.img " + b.Line
	return b.render("discovery.ipxe")
}

// Syslinux returns the configuration for PXELINUX.
func (b Boot) Syslinux() (string, error) { return b.render("discovery.syslinux") }

func (b Boot) render(name string) (string, error) {
	err := check(append(urls(b.Again), word{"node name", b.Node}, word{"osimage name", b.Osimage}, word{"kernel", b.Kernel}, word{"initrd", b.Initrd})...)
	if err == nil {
		err = CheckLine(b.Line)
	}
	if err != nil {
		return "", err
	}
	return render(name, b)
}

// Local is the boot of a node from its own disk.
type Local struct{ Node string }

// Script returns the script for iPXE: UEFI goes on to the next boot entry,
// a BIOS is given its first disk.
func (l Local) Script() (string, error) {
	if err := check(word{"node name", l.Node}); err != nil {
		return "", err
	}
	return render("local.ipxe", l)
}

// Syslinux returns the configuration for PXELINUX.
func (l Local) Syslinux() (string, error) { return render("local.syslinux", l) }

// Trouble is why a node cannot boot.
type Trouble struct {
	Node, Reason string
	// Again are the URLs to ask again, one after the other.
	Again []string
}

// Script returns a script that shows the reason and asks again.
func (t Trouble) Script() (string, error) {
	if err := check(append(urls(t.Again), word{"node name", t.Node})...); err != nil {
		return "", err
	}
	t.Reason = plain(t.Reason)
	return render("trouble.ipxe", t)
}

func urls(all []string) (words []word) {
	for _, u := range all {
		words = append(words, word{"URL", u})
	}
	return words
}

func render(name string, data any) (string, error) {
	var b strings.Builder
	if err := texts.ExecuteTemplate(&b, name, data); err != nil {
		return "", fmt.Errorf("write %s: %w", name, err)
	}
	if b.Len() > MaxScript {
		return "", fmt.Errorf("%s has %d bytes, more than %d", name, b.Len(), MaxScript)
	}
	return b.String(), nil
}
