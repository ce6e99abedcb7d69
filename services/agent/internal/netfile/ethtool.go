package netfile

import (
	"slices"
	"strings"
)

// ethtool is one call of ethtool(8): its flag, and what stands after the device.
type ethtool struct {
	flag string
	args []string
}

// setEthtool reads ETHTOOL_OPTS: the words after "ethtool -s DEVICE", or calls
// with their own flags and the device, with semicolons between.
func (l *link) setEthtool(m manager, value string) error {
	if m.verbatim {
		return nil
	}
	var calls []ethtool
	for part := range strings.SplitSeq(value, ";") {
		w := strings.Fields(part)
		switch {
		case len(w) == 0:
			continue
		case w[0][0] != '-':
			calls = append(calls, ethtool{"-s", w})
		case len(w) < 3 || !slices.Contains([]string{"${DEVICE}", "$DEVICE", "${REALDEVICE}", l.Name}, w[1]):
			return errUnwritable
		default:
			calls = append(calls, ethtool{w[0], w[2:]})
		}
	}
	for _, c := range calls {
		if strings.Trim(strings.Join(c.args, ""), ethtoolLetters) != "" || m.ethtool == nil || !m.ethtool(c) {
			return errUnwritable
		}
	}
	l.ethtool = append(l.ethtool, calls...)
	return nil
}

// ethtoolLetters are those of flags and words that mean nothing to a shell.
const ethtoolLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/%"

// anyEthtool is for managers that call ethtool itself.
func anyEthtool(ethtool) bool { return true }

// profiled tells whether a NetworkManager profile can say a call.
func profiled(c ethtool) bool {
	_, ok := c.profile()
	return ok
}

// profile returns a call as keys of a profile, nm-settings-keyfile(5), each
// with its section before a dot.
func (c ethtool) profile() (keys []setting, ok bool) {
	words := profileWords[c.flag]
	if words == nil || len(c.args)%2 != 0 {
		return nil, false
	}
	for i := 0; i < len(c.args); i += 2 {
		key, value := words[c.args[i]], c.args[i+1]
		switch {
		case key == "":
			return nil, false
		case c.flag != "-G" && c.args[i] != "speed" && (isYes(value) || isNo(value)):
			value = trueFalse(isYes(value))
		}
		keys = append(keys, setting{key, value})
	}
	return keys, true
}

func trueFalse(yes bool) string {
	if yes {
		return "true"
	}
	return "false"
}

// profileWords are a profile's keys for the words after an ethtool flag.
var profileWords = map[string]map[string]string{
	"-s": {"autoneg": "ethernet.auto-negotiate", "speed": "ethernet.speed", "duplex": "ethernet.duplex"},
	"-G": {"rx": "ethtool.ring-rx", "tx": "ethtool.ring-tx", "rx-mini": "ethtool.ring-rx-mini", "rx-jumbo": "ethtool.ring-rx-jumbo"},
	"-K": {
		"tso": "ethtool.feature-tso", "gso": "ethtool.feature-gso", "gro": "ethtool.feature-gro", "lro": "ethtool.feature-lro",
		"rx": "ethtool.feature-rx", "tx": "ethtool.feature-tx", "sg": "ethtool.feature-sg", "ntuple": "ethtool.feature-ntuple",
		"rxhash": "ethtool.feature-rxhash", "rxvlan": "ethtool.feature-rxvlan", "txvlan": "ethtool.feature-txvlan",
	},
}
