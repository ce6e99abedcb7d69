package foreign

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/luna-hpc/luna/pkg/blueprint"
)

func (w *warewulf) node(name string) {
	x := w.inherit(name)
	what := "node " + name
	host, domain, _ := strings.Cut(name, ".")
	if domain != "" {
		w.leave(what, "domain "+domain, "names have no dots here; a group has a domain")
	}
	n := blueprint.Node{Place: place(host), Comment: x.Comment, Addresses: map[string]blueprint.List{}}
	g := w.group(x)
	n.Group = g.Name
	w.image(what, x)
	if args := kernelArgs(x.Kernel.Args); args != "" {
		n.Kernopts = &args
	}
	primary := x.primary()
	for _, device := range slices.Sorted(keys(x.Devices)) {
		w.device(what, device, device == primary, x.Devices[device], g, &n)
	}
	w.ipmi(what, x, g, &n)
	w.Nodes = append(w.Nodes, n)
}

// group returns the group of a node: its last profile, and its image when others
// of that profile have another one.
func (w *warewulf) group(x ww) *blueprint.Group {
	name := "default"
	if len(x.Profiles) > 0 {
		name = x.Profiles[len(x.Profiles)-1]
	}
	image := imageName(x.Image)
	if g := w.groups[name]; g != nil && g.Osimage != image {
		name += "-" + image
	}
	g := w.groups[name]
	if g == nil {
		g = &blueprint.Group{Place: place(name), Osimage: image}
		join(g, "BOOTIF", "")
		w.groups[name] = g
		w.order = append(w.order, name)
	}
	return g
}

// imageName makes a name of an osimage of one of a container, which may have slashes.
func imageName(s string) string {
	return strings.Trim(strings.NewReplacer("/", "-", ":", "-").Replace(s), "-")
}

func (w *warewulf) image(what string, x ww) {
	name := imageName(x.Image)
	if name == "" {
		w.leave(what, "image name", "there is none: give its group an osimage")
		return
	}
	if w.images[name] {
		return
	}
	w.images[name] = true
	path := "/var/lib/warewulf/chroots/" + x.Image + "/rootfs"
	w.Osimages = append(w.Osimages, blueprint.Osimage{Place: place(name), Path: path, Kernver: x.Kernel.Version})
	w.Left = append(w.Left, fmt.Sprintf("osimage %s: nodes.conf does not say its path, which is %s unless Warewulf was told otherwise", name, path))
}

// kernelArgs are words or a list of them.
func kernelArgs(args any) string {
	if list, ok := args.([]any); ok {
		var words []string
		for _, a := range list {
			words = append(words, fmt.Sprint(a))
		}
		return strings.Join(words, " ")
	}
	if args == nil {
		return ""
	}
	return fmt.Sprint(args)
}

// primary names the device that a node boots from.
func (x ww) primary() string {
	if x.Primary != "" {
		return x.Primary
	}
	names := slices.Sorted(keys(x.Devices))
	for _, name := range names {
		if p := fmt.Sprint(x.Devices[name].Primary); p == "true" || p == "yes" {
			return name
		}
	}
	if _, ok := x.Devices["default"]; ok || len(names) == 0 {
		return "default"
	}
	return names[0]
}

func (w *warewulf) device(what, name string, boots bool, d wwNet, g *blueprint.Group, n *blueprint.Node) {
	field := "network devices " + name
	card := "BOOTIF"
	if !boots {
		if card = d.Device; card == "" {
			card = name
		}
		if d.Hwaddr != "" {
			w.leave(what, field+" hwaddr", "only the card that a node boots from has its MAC here")
		}
	} else if d.Hwaddr != "" {
		n.Mac = &d.Hwaddr
	}
	if d.Type != "" && d.Type != "ethernet" {
		w.leave(what, field+" type", "%s is no plain card: say what it is made of in the group", d.Type)
	}
	if d.IP == "" {
		join(g, card, "")
		return
	}
	network, ip := w.attach(what, field, name, d)
	if network == "" {
		return
	}
	join(g, card, network)
	n.Addresses[card] = blueprint.List{ip}
}

// attach returns the network of a device and the address in it.
func (w *warewulf) attach(what, field, name string, d wwNet) (network, ip string) {
	p, err := prefix(d.IP, d.Netmask)
	if err != nil {
		w.leave(what, field+" ipaddr", "%s with netmask %q is no address in a network", d.IP, d.Netmask)
		return "", ""
	}
	network = w.networks.of(p, name)
	to := w.networks.find(network)
	if gateway, err := netip.ParseAddr(d.Gateway); err == nil && to.Gateway == "" && p.Masked().Contains(gateway) {
		to.Gateway = gateway.String()
	} else if d.Gateway != "" && to.Gateway != d.Gateway {
		w.leave(what, field+" gateway", "%s is not that of network %s", d.Gateway, network)
	}
	if d.Mtu != "" {
		if _, err := fmt.Sscan(d.Mtu, &to.Mtu); err != nil {
			w.leave(what, field+" mtu", "%s is no number", d.Mtu)
		}
	}
	return network, p.Addr().String()
}

// ipmi takes the address of a node's controller and its user.
func (w *warewulf) ipmi(what string, x ww, g *blueprint.Group, n *blueprint.Node) {
	get := func(name string) string {
		if v, ok := x.Ipmi[name]; ok && v != nil {
			return fmt.Sprint(v)
		}
		return ""
	}
	if ip := get("ipaddr"); ip != "" {
		network, ip := w.attach(what, "ipmi", "ipmi", wwNet{IP: ip, Netmask: get("netmask"), Gateway: get("gateway")})
		if network != "" {
			join(g, "BMC", network)
			n.Addresses["BMC"] = blueprint.List{ip}
		}
	}
	n.Setupbmc = get("write") == "true"
	user, password := get("username"), get("password")
	if user == "" && password == "" {
		return
	}
	at := slices.IndexFunc(w.Bmcsetups, func(b blueprint.Bmcsetup) bool { return b.Name == g.Name })
	if at < 0 {
		b := blueprint.Bmcsetup{Place: place(g.Name), Password: password}
		if user != "" {
			b.User = &user
		}
		w.Bmcsetups, g.Bmcsetup = append(w.Bmcsetups, b), g.Name
		return
	}
	if b := w.Bmcsetups[at]; b.Password != password || (b.User == nil) != (user == "") || b.User != nil && *b.User != user {
		w.leave(what, "ipmi username and password", "they are not those of the other nodes of group %s", g.Name)
	}
}
