package netfile

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

const (
	interfaces  = "etc/network/interfaces"
	interfacesD = "etc/network/interfaces.d"
	ourFile     = interfacesD + "/luna"
)

// ifupdown writes one file with all interfaces, interfaces(5), has the main
// file read it, and takes the same interfaces out of the image's own files,
// since ifupdown would configure them twice.
func (j *job) ifupdown() error {
	var b strings.Builder
	b.WriteString(head)
	for _, l := range j.links {
		if l.master == nil {
			j.stanzas(&b, l)
		}
	}
	if err := j.put(ourFile, b.String(), 0o644); err != nil {
		return err
	}
	if err := j.disown(); err != nil {
		return err
	}
	return j.rewrite(interfaces, sourced)
}

// needEthtool refuses calls of a program that the image lacks.
func (j *job) needEthtool(l *link) error {
	if len(l.ethtool) > 0 && !j.tree.Exists("usr/sbin/ethtool") && !j.tree.Exists("sbin/ethtool") {
		return errors.New("option ETHTOOL_OPTS: the image has no ethtool")
	}
	return nil
}

// disown takes the node's interfaces out of the image's own interfaces files.
func (j *job) disown() error {
	names := j.names()
	others, err := j.tree.List(interfacesD)
	if err != nil {
		return err
	}
	files := []string{interfaces}
	for _, name := range others {
		files = append(files, path.Join(interfacesD, name))
	}
	for _, file := range files {
		if file == ourFile {
			continue
		}
		if err := j.rewrite(file, func(text string) string { return disown(text, names) }); err != nil {
			return err
		}
	}
	return nil
}

// stanzas writes one interface. ifupdown has a stanza for each address.
func (j *job) stanzas(b *strings.Builder, l *link) {
	b.WriteByte('\n')
	if !l.manual {
		fmt.Fprintf(b, "auto %s\n", l.device)
	}
	first := true
	for _, v6 := range []bool{false, true} {
		family := map[bool]string{false: "inet", true: "inet6"}[v6]
		addresses, gateway := l.family(v6)
		for n, a := range addresses {
			fmt.Fprintf(b, "iface %s %s static\n    address %s\n", l.device, family, a)
			if gateway != "" && n == 0 {
				fmt.Fprintf(b, "    gateway %s\n", gateway)
			}
			if v6 && n == 0 && l.advertised != nil {
				fmt.Fprintf(b, "    accept_ra %d\n    autoconf %[1]d\n", map[bool]int{true: 1}[*l.advertised])
			}
			if first {
				j.once(b, l)
			}
			first = false
		}
	}
	if first {
		fmt.Fprintf(b, "iface %s inet manual\n    up ip link set dev $IFACE up\n", l.device)
		j.once(b, l)
	}
	// In the last stanza: the others are taken down before.
	for _, made := range l.made() {
		fmt.Fprintf(b, "    post-down ip link delete dev %s\n", made)
	}
}

// once writes what an interface has once, not for each address.
func (j *job) once(b *strings.Builder, l *link) {
	preUp := func(format string, args ...any) { fmt.Fprintf(b, "    pre-up "+format+"\n", args...) }
	l.create(preUp)
	if l.connected {
		preUp("echo connected >/sys/class/net/$IFACE/mode")
	}
	if l.MTU > 0 {
		fmt.Fprintf(b, "    mtu %d\n", l.MTU)
	}
	for _, c := range l.ethtool {
		fmt.Fprintf(b, "    post-up ethtool %s $IFACE %s\n", c.flag, strings.Join(c.args, " "))
	}
	if len(l.Addresses) == 0 {
		return
	}
	if len(j.DNS) > 0 {
		fmt.Fprintf(b, "    dns-nameservers %s\n", words(j.DNS))
	}
	if len(j.Search) > 0 {
		fmt.Fprintf(b, "    dns-search %s\n", strings.Join(j.Search, " "))
	}
}
