// Package blueprint is the whole inventory as one text that a person can read and
// write: YAML in which objects refer to each other by name.
package blueprint

// Form is the number of the form that is written and read here.
const Form = 1

// Kept stands for a secret that is there already: no text tells it.
const Kept = "***"

// MostInMessage is the longest text that travels in a message, in bytes; a longer one
// goes through the bucket of inputs. In JSON it may be twice as long.
const MostInMessage = 400 << 10

// Blueprint is what a text says. A field that it does not say is nil or empty.
type Blueprint struct {
	Cluster   *Cluster
	Networks  []Network
	Osimages  []Osimage
	Bmcsetups []Bmcsetup
	Switches  []Switch
	Otherdevs []Otherdev
	Groups    []Group
	Nodes     []Node
}

// Place is the name of an object and the line of the text that it begins in.
type Place struct {
	Name string `yaml:"-"`
	Line int    `yaml:"-"`
}

// At returns the place.
func (p Place) At() Place { return p }

// Cluster is the cluster. Fields that are pointers have values unless told otherwise.
type Cluster struct {
	Line                 int      `yaml:"-"`
	FrontendAddress      string   `yaml:"frontend_address,omitempty"`
	ClusterIps           []string `yaml:"cluster_ips,flow,omitempty"`
	Nodeprefix           *string  `yaml:"nodeprefix,omitempty"`
	Nodedigits           *uint32  `yaml:"nodedigits,omitempty"`
	Path                 *string  `yaml:"path,omitempty"`
	User                 *string  `yaml:"user,omitempty"`
	FrontendPort         *uint32  `yaml:"frontend_port,omitempty"`
	ServerPort           *uint32  `yaml:"server_port,omitempty"`
	TrackerInterval      *uint32  `yaml:"tracker_interval,omitempty"`
	TrackerMinInterval   *uint32  `yaml:"tracker_min_interval,omitempty"`
	TrackerMaxpeers      *uint32  `yaml:"tracker_maxpeers,omitempty"`
	TorrentListenPortMin *uint32  `yaml:"torrent_listen_port_min,omitempty"`
	TorrentListenPortMax *uint32  `yaml:"torrent_listen_port_max,omitempty"`
	MenuWait             *uint32  `yaml:"menu_wait,omitempty"`
	Comment              string   `yaml:"comment,omitempty"`
}

// Network is an IP network.
type Network struct {
	Place `yaml:"-"`
	// Network is its address and prefix, as in 10.30.0.0/16.
	Network     string   `yaml:"network,omitempty"`
	Gateway     string   `yaml:"gateway,omitempty"`
	Nameservers []string `yaml:"nameservers,flow,omitempty"`
	Ntp         []string `yaml:"ntp,flow,omitempty"`
	Mtu         uint32   `yaml:"mtu,omitempty"`
	NsHostname  string   `yaml:"ns_hostname,omitempty"`
	NsIP        string   `yaml:"ns_ip,omitempty"`
	Reserved    []string `yaml:"reserved,flow,omitempty"`
	DhcpRange   *Range   `yaml:"dhcp_range,flow,omitempty"`
	Include     string   `yaml:"include,omitempty"`
	RevInclude  string   `yaml:"rev_include,omitempty"`
	Comment     string   `yaml:"comment,omitempty"`
}

// Range is the first and the last address of a range.
type Range struct {
	Start string `yaml:"start"`
	End   string `yaml:"end"`
}

// Osimage is the description of an image. Its head and kernel are kept when the
// text does not say them.
type Osimage struct {
	Place           `yaml:"-"`
	Path            string  `yaml:"path,omitempty"`
	Head            string  `yaml:"head,omitempty"`
	Kernver         string  `yaml:"kernver,omitempty"`
	Kernopts        string  `yaml:"kernopts,omitempty"`
	Kernmodules     *string `yaml:"kernmodules,omitempty"`
	Dracutmodules   *string `yaml:"dracutmodules,omitempty"`
	GrabFilesystems *string `yaml:"grab_filesystems,omitempty"`
	GrabExcludeList string  `yaml:"grab_exclude_list,omitempty"`
	Comment         string  `yaml:"comment,omitempty"`
}

// Bmcsetup is how management controllers are set up. Its password is kept when
// the text does not say it.
type Bmcsetup struct {
	Place       `yaml:"-"`
	User        *string `yaml:"user,omitempty"`
	Password    string  `yaml:"password,omitempty"`
	Userid      *uint32 `yaml:"userid,omitempty"`
	Netchannel  *uint32 `yaml:"netchannel,omitempty"`
	Mgmtchannel *uint32 `yaml:"mgmtchannel,omitempty"`
	Protocol    *string `yaml:"protocol,omitempty"`
	Required    bool    `yaml:"required,omitempty"`
	Comment     string  `yaml:"comment,omitempty"`
}

// Switch is an Ethernet switch.
type Switch struct {
	Place        `yaml:"-"`
	Network      string   `yaml:"network,omitempty"`
	IP           string   `yaml:"ip,omitempty"`
	Read         string   `yaml:"read,omitempty"`
	Rw           string   `yaml:"rw,omitempty"`
	Oid          *string  `yaml:"oid,omitempty"`
	Version      *string  `yaml:"version,omitempty"`
	User         string   `yaml:"user,omitempty"`
	AuthProtocol string   `yaml:"auth_protocol,omitempty"`
	AuthPassword string   `yaml:"auth_password,omitempty"`
	PrivProtocol string   `yaml:"priv_protocol,omitempty"`
	PrivPassword string   `yaml:"priv_password,omitempty"`
	Uplinks      []string `yaml:"uplinks,flow,omitempty"`
	Comment      string   `yaml:"comment,omitempty"`
}

// Otherdev is a device that only DNS knows.
type Otherdev struct {
	Place `yaml:"-"`
	// Addresses by network.
	Addresses map[string]string `yaml:"addresses,omitempty"`
	Comment   string            `yaml:"comment,omitempty"`
}

// Group is what its nodes have in common. Without interfaces it has BOOTIF alone.
type Group struct {
	Place      `yaml:"-"`
	Osimage    string       `yaml:"osimage,omitempty"`
	Bmcsetup   string       `yaml:"bmcsetup,omitempty"`
	Domain     string       `yaml:"domain,omitempty"`
	TorrentIf  string       `yaml:"torrent_if,omitempty"`
	Interfaces *[]Interface `yaml:"interfaces,omitempty"`
	Root       string       `yaml:"root,omitempty"`
	Prescript  string       `yaml:"prescript,omitempty"`
	Partscript *string      `yaml:"partscript,omitempty"`
	Postscript *string      `yaml:"postscript,omitempty"`
	Comment    string       `yaml:"comment,omitempty"`
}

// Interface is one network card of every node of a group, or what is made of some.
type Interface struct {
	Name     string   `yaml:"name"`
	Networks []string `yaml:"networks,flow,omitempty"`
	Mtu      uint32   `yaml:"mtu,omitempty"`
	Bond     *Bond    `yaml:"bond,omitempty"`
	Vlan     *Vlan    `yaml:"vlan,omitempty"`
	Bridge   *Bridge  `yaml:"bridge,omitempty"`
	Options  string   `yaml:"options,omitempty"`
}

// Bond joins cards.
type Bond struct {
	Members []string `yaml:"members,flow,omitempty"`
	Mode    *string  `yaml:"mode,omitempty"`
	Miimon  *uint32  `yaml:"miimon,omitempty"`
}

// Vlan is one VLAN of another interface.
type Vlan struct {
	Parent string `yaml:"parent,omitempty"`
	Tag    uint32 `yaml:"tag,omitempty"`
}

// Bridge is a bridge of interfaces.
type Bridge struct {
	Ports []string `yaml:"ports,flow,omitempty"`
	Stp   bool     `yaml:"stp,omitempty"`
}

// Node is one machine. Its MAC and addresses are kept when the text does not say
// them; fields from Osimage to Postscript that are nil are the group's.
type Node struct {
	Place  `yaml:"-"`
	Group  string  `yaml:"group,omitempty"`
	Mac    *string `yaml:"mac,omitempty"`
	Switch string  `yaml:"switch,omitempty"`
	Port   string  `yaml:"port,omitempty"`
	// Addresses by interface.
	Addresses  map[string]List `yaml:"addresses,omitempty"`
	Localboot  bool            `yaml:"localboot,omitempty"`
	Setupbmc   bool            `yaml:"setupbmc,omitempty"`
	Service    bool            `yaml:"service,omitempty"`
	Osimage    *string         `yaml:"osimage,omitempty"`
	Kernopts   *string         `yaml:"kernopts,omitempty"`
	Prescript  *string         `yaml:"prescript,omitempty"`
	Partscript *string         `yaml:"partscript,omitempty"`
	Postscript *string         `yaml:"postscript,omitempty"`
	Comment    string          `yaml:"comment,omitempty"`
}
