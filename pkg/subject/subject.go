// Package subject holds every NATS subject, stream and bucket name of Luna.
package subject

import "strings"

// Streams of the bus; what each keeps stands in package bus.
const (
	Inventory = "INVENTORY"
	Images    = "IMAGES"
	Seen      = "SEEN"
	Boots     = "BOOTS"
	Hardware  = "HARDWARE"
	Secrets   = "SECRETS"
	Jobs      = "JOBS"
)

// Object-store buckets.
const (
	// Files holds kernels, initrds, torrents and manifests, named by digest.
	Files = "luna-files"
	// Inputs holds big inputs of commands for a day.
	Inputs = "luna-inputs"
)

// Patterns that the streams bind.
const (
	AllInventory = "luna.evt.inventory.>"
	AllReleases  = "luna.evt.image-packer.release.*"
	AllLeases    = "luna.evt.dhcp.lease.*"
	AllSwitch    = "luna.evt.switch-poller.mac.*.*"
	AllUnknown   = "luna.evt.bootscript.unknown.*"
	AllSteps     = "luna.evt.bootscript.step.*.*.*"
	AllHardware  = "luna.evt.bootscript.hardware.*"
	AllSecrets   = "luna.evt.inventory-secret.*"
	AllJobs      = "luna.job.*.*"
	AllCommands  = "luna.cmd.>"
	AllLogs      = "luna.log.>"
)

// Command is where a service takes requests to do a verb on a noun.
func Command(service, noun, verb string) string {
	return "luna.cmd." + service + "." + noun + "." + verb
}

// CommandOn is where a service of one head takes requests that no other head can do.
func CommandOn(head, service, noun, verb string) string {
	return Command(service, noun, verb) + "." + head
}

// Words returns a command's subject without its prefix, as in inventory.node.add.
func Words(command string) string { return strings.TrimPrefix(command, "luna.cmd.") }

// Commands matches every command of a service.
func Commands(service string) string { return "luna.cmd." + service + ".>" }

// Object is where the inventory keeps an object; change records have the noun "change".
func Object(noun, id string) string { return "luna.evt.inventory." + noun + "." + id }

// Change is where the record of a command's change is.
func Change(commandID string) string { return Object("change", commandID) }

// ParseObject splits the subject of an inventory object; ok is false for any other.
func ParseObject(s string) (noun, id string, ok bool) {
	rest, ok := strings.CutPrefix(s, "luna.evt.inventory.")
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, ".")
}

// Release is where the releases of an osimage are.
func Release(osimageID string) string { return "luna.evt.image-packer.release." + osimageID }

// Lease is where the lease of a stranger is; mac is 12 hex digits.
func Lease(mac string) string { return "luna.evt.dhcp.lease." + mac }

// SwitchMAC is where a MAC seen on a switch is; mac is 12 hex digits.
func SwitchMAC(switchID, mac string) string {
	return "luna.evt.switch-poller.mac." + switchID + "." + mac
}

// ParseSwitchMAC splits the subject of a MAC seen on a switch; ok is false for any other.
func ParseSwitchMAC(s string) (switchID, mac string, ok bool) {
	rest, ok := strings.CutPrefix(s, "luna.evt.switch-poller.mac.")
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, ".")
}

// Unknown is where a machine that is no node is; mac is 12 hex digits.
func Unknown(mac string) string { return "luna.evt.bootscript.unknown." + mac }

// Step is where one step of a boot is: the n-th that a head kept of it.
func Step(boot, head, n string) string {
	return "luna.evt.bootscript.step." + boot + "." + head + "." + n
}

// HardwareOf is where the hardware report of a node is.
func HardwareOf(nodeID string) string { return "luna.evt.bootscript.hardware." + nodeID }

// Secret is where a sealed secret is.
func Secret(id string) string { return "luna.evt.inventory-secret." + id }

// Job is where the state of a job is.
func Job(service, id string) string { return "luna.job." + service + "." + id }

// Refused is where a service says which command without a requester it refused.
func Refused(service string) string { return "luna.log." + service + ".refused" }

// Own matches all events that a service publishes.
func Own(service string) string { return "luna.evt." + service + ".>" }

// Inbox is the prefix of a user's reply subjects.
func Inbox(user string) string { return "_INBOX_" + user }

// Token makes a word fit to be one token of a subject.
func Token(word string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		}
		return '-'
	}, word)
}

// IsSwitchMAC reports whether a subject is that of a MAC seen on a switch.
func IsSwitchMAC(s string) bool { return strings.HasPrefix(s, "luna.evt.switch-poller.mac.") }

// IsLease reports whether a subject is that of a lease.
func IsLease(s string) bool { return strings.HasPrefix(s, "luna.evt.dhcp.lease.") }

// IsUnknown reports whether a subject is that of an unknown machine.
func IsUnknown(s string) bool { return strings.HasPrefix(s, "luna.evt.bootscript.unknown.") }

// ParseRelease returns the osimage id of a release's subject; ok is false for any other.
func ParseRelease(s string) (osimageID string, ok bool) {
	return strings.CutPrefix(s, "luna.evt.image-packer.release.")
}
