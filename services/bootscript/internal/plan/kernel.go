package plan

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/luna-hpc/luna/pkg/release"
	"github.com/luna-hpc/luna/services/bootscript/internal/ipxe"
)

// Boot is what one boot adds to a plan.
type Boot struct {
	// ID is the boot's; Token may be empty.
	ID, Token string
	// Now is the head's time.
	Now time.Time
	// Again are the URLs to ask, one after the other, when the files do not load.
	Again []string
}

// Script returns what iPXE loads for the plan.
func (p Plan) Script(b Boot) ipxe.Boot {
	return ipxe.Boot{
		Node: p.Node.GetName(), Osimage: p.Osimage.GetName(), Again: b.Again,
		Kernel: p.fileURL("vmlinuz", p.Release.GetKernel()),
		Initrd: p.fileURL("initrd", p.Release.GetInitrd()),
		Line:   p.line(b),
	}
}

// fileURL names the file as people type it, and its digest, so that kernel and
// initrd of one boot are of one release.
func (p Plan) fileURL(kind, digest string) string {
	name := fmt.Sprintf("%s-%s-%s", p.Osimage.GetName(), kind, p.Release.GetKernver())
	return p.Site.Server() + "/boot/" + url.PathEscape(name) + "?digest=" + release.Digest(digest).Hex()
}

// otherHeads lists the heads that a node may ask when the first does not answer.
func (p Plan) otherHeads() string {
	var others []string
	for _, a := range p.Site.Heads[min(1, len(p.Site.Heads)):] {
		others = append(others, a.String())
	}
	return strings.Join(others, ",")
}

// line returns the kernel's command line; the image's own options stand last.
func (p Plan) line(b Boot) string {
	words := []string{"root=luna"}
	add := func(key, value string) {
		if value != "" {
			words = append(words, "luna."+key+"="+value)
		}
	}
	if p.Address.IsValid() {
		add("bootproto", "static")
	} else {
		add("bootproto", "dhcp")
	}
	add("mac", p.Node.GetMac())
	if p.Address.IsValid() {
		add("ip", p.Address.String())
	}
	add("gw", p.Gateway())
	add("dns", strings.Join(p.DNS(), ","))
	add("url", p.Site.URL())
	add("heads", p.otherHeads())
	add("node", p.Node.GetName())
	add("hostname", p.FQDN())
	add("service", map[bool]string{false: "0", true: "1"}[p.Node.GetService()])
	add("boot", b.ID)
	add("token", b.Token)
	manifest, _ := p.Payload()
	add("manifest", manifest)
	// A node that tries again after the group's root changed installs the same release in its other form.
	if overlay := p.Release.GetOverlay().GetManifest(); overlay != "" && p.Overlay() {
		add("files", p.Release.GetManifest())
	} else {
		add("overlay", overlay)
	}
	add("time", fmt.Sprint(b.Now.Unix()))
	return strings.Join(append(words, strings.Fields(p.Kernopts())...), " ")
}
