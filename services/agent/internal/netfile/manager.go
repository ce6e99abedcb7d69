package netfile

// manager is a program that configures the network of an installed system.
type manager struct {
	name string
	// programs tell, each by itself, that it is installed.
	programs []string
	// unit is its systemd service; alias is a unit that is a link to the service
	// that is chosen; links tell in other ways that it is started.
	unit, alias string
	links       []string
	// when adds a condition, where it is not nil.
	when func(Tree) (bool, error)
	// check, where it is not nil, refuses an interface that the image cannot make;
	// write writes the files of all.
	check func(*job, *link) error
	write func(*job) error
	// matches tells that its files can name a card by the MAC alone.
	matches bool
	// verbatim managers read the operator's free options as they stand.
	verbatim bool
	// own are the beginnings of keys that it reads in files with lines KEY=VALUE.
	own []string
	// lacks are options that it has no word for; bondKey gives its word for an
	// option of bonds, nil is the driver's own; ethtool tells which calls it can
	// say, nil is none.
	lacks   []string
	bondKey func(bondOption) string
	ethtool func(ethtool) bool
}

const (
	netplanName  = "netplan"
	networkdName = "systemd-networkd"
	ifupdownName = "ifupdown"
	nmName       = "NetworkManager"
	nmIfcfgName  = "NetworkManager with ifcfg files"
	wickedName   = "wicked"
	scriptsName  = "ifcfg network scripts"
)

// managers stand in the order of preference among those that are enabled.
// netplan writes the files of networkd and NetworkManager itself. ifupdown
// stands before NetworkManager, which leaves alone what ifupdown configures,
// and NetworkManager before the scripts, which leave to it what it configures.
var managers = []manager{
	{
		name: netplanName, programs: []string{"usr/sbin/netplan"}, when: netplanDecides, check: (*job).planned, write: (*job).netplan, matches: true,
		bondKey: func(o bondOption) string { return o.netplan },
	},
	{
		name: networkdName, programs: []string{"usr/lib/systemd/systemd-networkd", "lib/systemd/systemd-networkd"},
		unit: "systemd-networkd.service", write: (*job).networkd, matches: true,
		bondKey: func(o bondOption) string { return o.networkd },
	},
	{
		name: ifupdownName, programs: []string{"usr/sbin/ifup", "sbin/ifup"}, unit: "networking.service",
		links: []string{"etc/rcS.d/S*networking", "etc/runlevels/boot/networking"}, write: (*job).ifupdown,
		check: (*job).needEthtool, ethtool: anyEthtool,
	},
	{
		name: nmIfcfgName, programs: nmPrograms, unit: nmUnit, alias: networkAlias, when: readsIfcfg,
		write: (*job).ifcfg, verbatim: true,
	},
	{
		name: nmName, programs: nmPrograms, unit: nmUnit, alias: networkAlias, when: readsKeyfiles,
		write: (*job).keyfile, matches: true, ethtool: profiled,
	},
	{
		name: wickedName, programs: []string{"usr/sbin/wicked", "usr/sbin/wickedd"}, unit: "wicked.service", alias: networkAlias,
		write: (*job).wicked, own: wickedKeys, lacks: []string{"IPV6_AUTOCONF"}, ethtool: anyEthtool,
	},
	{
		name: scriptsName, programs: []string{"etc/rc.d/init.d/network"}, unit: "network.service",
		links: []string{"etc/rc.d/rc3.d/S*network", "etc/rc.d/rc5.d/S*network"}, check: (*job).scriptable, write: (*job).ifcfg, verbatim: true,
	},
}

const (
	nmUnit = "NetworkManager.service"
	// networkAlias leads, on SUSE, to the manager that is chosen.
	networkAlias = "etc/systemd/system/network.service"
)

var nmPrograms = []string{"usr/sbin/NetworkManager", "usr/bin/NetworkManager"}
