package netfile

import (
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
	names := map[string]bool{}
	var b strings.Builder
	b.WriteString(head)
	for _, i := range j.Interfaces {
		name, err := j.name(i)
		if err != nil {
			return err
		}
		if names[name] {
			return fmt.Errorf("two interfaces are %s", name)
		}
		names[name] = true
		j.stanzas(&b, name, i)
	}
	if err := j.put(ourFile, b.String(), 0o644); err != nil {
		return err
	}
	others, err := j.tree.List(interfacesD)
	if err != nil {
		return err
	}
	for _, name := range others {
		if file := path.Join(interfacesD, name); file != ourFile {
			if err := j.rewrite(file, func(text string) string { return disown(text, names) }); err != nil {
				return err
			}
		}
	}
	return j.rewrite(interfaces, func(text string) string { return sourced(disown(text, names)) })
}

// stanzas writes one interface. ifupdown has a stanza for each address.
func (j *job) stanzas(b *strings.Builder, name string, i Interface) {
	fmt.Fprintf(b, "\nauto %s\n", name)
	first := true
	for _, v6 := range []bool{false, true} {
		family := map[bool]string{false: "inet", true: "inet6"}[v6]
		addresses, gateway := i.family(v6)
		for _, a := range addresses {
			fmt.Fprintf(b, "iface %s %s static\n    address %s\n", name, family, a)
			if gateway != "" {
				fmt.Fprintf(b, "    gateway %s\n", gateway)
				gateway = ""
			}
			if first {
				j.once(b, i)
			}
			first = false
		}
	}
	if first {
		fmt.Fprintf(b, "iface %s inet manual\n    up ip link set dev $IFACE up\n", name)
		if i.MTU > 0 {
			fmt.Fprintf(b, "    mtu %d\n", i.MTU)
		}
	}
}

// once writes what an interface has once, not for each address.
func (j *job) once(b *strings.Builder, i Interface) {
	if i.MTU > 0 {
		fmt.Fprintf(b, "    mtu %d\n", i.MTU)
	}
	if len(j.DNS) > 0 {
		fmt.Fprintf(b, "    dns-nameservers %s\n", words(j.DNS))
	}
	if len(j.Search) > 0 {
		fmt.Fprintf(b, "    dns-search %s\n", strings.Join(j.Search, " "))
	}
}

func (j *job) rewrite(name string, change func(string) string) error {
	old, err := j.tree.Read(name)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	text := change(string(old))
	if text == string(old) {
		return nil
	}
	return j.put(name, text, 0o644)
}
