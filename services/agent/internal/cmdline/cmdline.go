// Package cmdline reads what the head told the node on the kernel's command line.
package cmdline

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/luna-hpc/luna/pkg/release"
)

// Path is where the kernel shows its command line.
const Path = "/proc/cmdline"

// Protocol is how the boot interface gets its address.
type Protocol string

// The protocols of luna.bootproto.
const (
	Static Protocol = "static"
	DHCP   Protocol = "dhcp"
)

// Line is the part of the kernel's command line that the agent acts on.
type Line struct {
	// Protocol is DHCP also when the line has no address.
	Protocol Protocol
	// MAC of the boot interface.
	MAC     net.HardwareAddr
	Address netip.Prefix
	Gateway netip.Addr
	DNS     []netip.Addr
	URL     *url.URL
	// Heads are the addresses of other heads, which answer at the same port and path.
	Heads    []netip.Addr
	Node     string
	Hostname string
	// Service asks to stop at a shell and leave the disks alone.
	Service bool
	// Boot is the id that the head gave to this boot.
	Boot  string
	Token string
	// Manifest names the only release that may be installed; empty allows any.
	Manifest release.Digest
	// Overlay and Files are the same release as its compressed image and as its files, whichever Manifest is not: a
	// group's root may change while a node tries to install. Empty when there is none.
	Overlay, Files release.Digest
	// Time of the head when it made the line; zero when absent.
	Time time.Time
	// Console is the only terminal that gets a service shell; empty is all.
	Console string
	// Init is the program that the installed system starts with.
	Init string
	// Unknown are luna parameters that this agent does not know.
	Unknown []string
}

// Read parses the file at path.
func Read(path string) (Line, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Line{}, fmt.Errorf("read the kernel command line: %w", err)
	}
	return Parse(string(data))
}

// Parse reads a command line. The error names every parameter that is wrong
// or missing; the Line then holds what was right.
func Parse(text string) (Line, error) {
	p := parser{line: Line{Init: "/sbin/init"}, seen: map[string]string{}}
	for _, word := range fields(text) {
		p.word(word)
	}
	p.finish()
	return p.line, errors.Join(p.errs...)
}

type parser struct {
	line   Line
	seen   map[string]string
	bootif net.HardwareAddr
	errs   []error
}

func (p *parser) word(word string) {
	key, value, _ := strings.Cut(word, "=")
	switch key {
	case "init":
		p.line.Init = value
		return
	case "BOOTIF":
		// Syslinux puts the hardware type before the address: 01-52-54-00-00-00-01.
		if mac, err := net.ParseMAC(value[min(3, len(value)):]); err == nil {
			p.bootif = mac
		}
		return
	}
	if !strings.HasPrefix(key, "luna.") {
		return
	}
	if before, again := p.seen[key]; again {
		if before != value {
			p.fail(key, "stands twice with different values")
		}
		return
	}
	p.seen[key] = value
	p.set(key, value)
}

func (p *parser) set(key, value string) {
	set, known := setters[key]
	switch {
	case !known:
		p.line.Unknown = append(p.line.Unknown, key)
	case value == "":
		// An empty value is an absent one; finish names what is needed.
	default:
		if err := set(&p.line, value); err != nil {
			p.fail(key, err.Error())
		}
	}
}

func (p *parser) finish() {
	l := &p.line
	if l.MAC == nil && p.seen["luna.mac"] == "" {
		l.MAC = p.bootif
	}
	if l.MAC == nil {
		p.need("luna.mac")
	}
	if l.URL == nil {
		p.need("luna.url")
	}
	if l.Node == "" {
		p.need("luna.node")
	}
	if l.Hostname == "" {
		l.Hostname = l.Node
	}
	if !l.Address.IsValid() {
		l.Protocol = DHCP
	} else if l.Protocol == "" {
		l.Protocol = Static
	}
	slices.Sort(l.Unknown)
}

// need complains of an absent parameter, unless it was complained of already.
func (p *parser) need(key string) {
	if p.seen[key] == "" {
		p.fail(key, "is missing")
	}
}

func (p *parser) fail(key, what string) {
	p.errs = append(p.errs, fmt.Errorf("kernel command line: %s %s", key, what))
}

var setters = map[string]func(*Line, string) error{
	"luna.bootproto": setProtocol,
	"luna.mac":       setMAC,
	"luna.ip":        setAddress,
	"luna.gw":        func(l *Line, v string) error { return addr(v, &l.Gateway) },
	"luna.dns":       func(l *Line, v string) error { return addrs(v, &l.DNS) },
	"luna.url":       setURL,
	"luna.heads":     func(l *Line, v string) error { return addrs(v, &l.Heads) },
	"luna.node":      func(l *Line, v string) error { return name(v, &l.Node) },
	"luna.hostname":  func(l *Line, v string) error { return name(v, &l.Hostname) },
	"luna.service":   setService,
	"luna.boot":      func(l *Line, v string) error { l.Boot = v; return nil },
	"luna.token":     func(l *Line, v string) error { l.Token = v; return nil },
	"luna.manifest":  func(l *Line, v string) error { return setDigest(v, &l.Manifest) },
	"luna.overlay":   func(l *Line, v string) error { return setDigest(v, &l.Overlay) },
	"luna.files":     func(l *Line, v string) error { return setDigest(v, &l.Files) },
	"luna.time":      setTime,
	"luna.ctty":      setConsole,
}

func setProtocol(l *Line, v string) error {
	if p := Protocol(v); p == Static || p == DHCP {
		l.Protocol = p
		return nil
	}
	return fmt.Errorf("is %q, not static or dhcp", v)
}

func setMAC(l *Line, v string) error {
	mac, err := net.ParseMAC(v)
	if err != nil {
		return fmt.Errorf("is %q, not a MAC address", v)
	}
	l.MAC = mac
	return nil
}

func setAddress(l *Line, v string) error {
	prefix, err := netip.ParsePrefix(v)
	if err != nil || prefix.Addr().IsUnspecified() {
		return fmt.Errorf("is %q, not an address with a prefix length as in 10.30.0.1/16", v)
	}
	l.Address = prefix
	return nil
}

// addrs reads addresses with commas between them.
func addrs(v string, into *[]netip.Addr) error {
	for one := range strings.SplitSeq(v, ",") {
		var a netip.Addr
		if err := addr(one, &a); err != nil {
			return err
		}
		*into = append(*into, a)
	}
	return nil
}

func setURL(l *Line, v string) error {
	u, err := url.Parse(v)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.RawQuery != "" {
		return fmt.Errorf("is %q, not a URL as in http://10.30.255.254:7050/luna", v)
	}
	l.URL = u
	return nil
}

func setService(l *Line, v string) error {
	switch v {
	case "0", "1":
		l.Service = v == "1"
		return nil
	}
	return fmt.Errorf("is %q, not 0 or 1", v)
}

// Allowed returns the digests of the only release that may be installed, in each form that it has; none allow any.
func (l Line) Allowed() []release.Digest {
	if l.Manifest == "" {
		return nil
	}
	return slices.DeleteFunc([]release.Digest{l.Manifest, l.Overlay, l.Files}, func(d release.Digest) bool { return d == "" })
}

// Unpacked returns the digest of the release's files, which a partscript makes room for, also where Manifest is its
// compressed image.
func (l Line) Unpacked() release.Digest {
	if l.Files != "" {
		return l.Files
	}
	return l.Manifest
}

func setDigest(v string, to *release.Digest) error {
	d, err := release.ParseDigest(v)
	if err != nil {
		return fmt.Errorf("is not a digest: %w", err)
	}
	*to = d
	return nil
}

func setTime(l *Line, v string) error {
	seconds, err := strconv.ParseInt(v, 10, 64)
	if err != nil || seconds <= 0 || seconds > maxTime {
		return fmt.Errorf("is %q, not seconds since 1970", v)
	}
	l.Time = time.Unix(seconds, 0)
	return nil
}

// maxTime is the last second that a four-digit year can name.
const maxTime = 253402300799

func setConsole(l *Line, v string) error {
	v = strings.TrimPrefix(v, "/dev/")
	if v == "" || strings.ContainsAny(v, "/.,") {
		return fmt.Errorf("is %q, not a terminal as in ttyS0", v)
	}
	l.Console = v
	return nil
}

func addr(v string, to *netip.Addr) error {
	a, err := netip.ParseAddr(v)
	if err != nil {
		return fmt.Errorf("is %q, not an address", v)
	}
	*to = a
	return nil
}

func name(v string, to *string) error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	if len(v) > 253 || strings.Trim(v, letters) != "" {
		return fmt.Errorf("is %q, not a host name", v)
	}
	*to = v
	return nil
}
