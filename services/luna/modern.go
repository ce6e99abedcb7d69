package luna

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/luna-hpc/luna/pkg/catalog"
)

// abbreviations are short forms that users of the original type.
var abbreviations = map[string]string{"pre": "prescript", "part": "partscript", "post": "postscript",
	"sn": "setnet", "dn": "delnet", "ti": "torrent_if", "nn": "newname", "sb": "setupbmc", "sv": "service"}

// modern spells what the parser of the original took and this one does not:
// -bn, the two values of a node's -i IF IP, and the value of --delnet after a space.
func modern(args []string) []string {
	out := slices.Clone(args)
	if len(out) > 1 && out[0] == string(catalog.Osimage) && out[1] == "chroot" {
		return out // its words may be another program's
	}
	for i, arg := range out {
		if arg == "-bn" {
			out[i] = "--bmcnetwork"
		}
	}
	if at := after(out, catalog.Node, "change"); at > 0 {
		return withIP(out, at)
	}
	if at := after(out, catalog.Group, "change"); at > 0 {
		return withDelnet(out, at)
	}
	return out
}

// after returns where the words after a noun and its verb begin; 0 when others stand there.
func after(args []string, noun catalog.Noun, verb string) int {
	for i := range len(args) - 1 {
		if args[i] == string(noun) && args[i+1] == verb {
			return i + 2
		}
	}
	return 0
}

// withIP puts --ip before the second value of -i.
func withIP(args []string, at int) []string {
	for i := at; i+2 < len(args); i++ {
		if _, err := netip.ParseAddr(args[i+2]); err == nil && (args[i] == "-i" || args[i] == "--interface") {
			return slices.Insert(args, i+2, "--ip")
		}
	}
	return args
}

// withDelnet ties the value of --delnet to it.
func withDelnet(args []string, at int) []string {
	for i := at; i+1 < len(args); i++ {
		if (args[i] == "--delnet" || args[i] == "--dn") && !strings.HasPrefix(args[i+1], "-") {
			return slices.Replace(args, i, i+2, args[i]+"="+args[i+1])
		}
	}
	return args
}

// normalize makes - and _ the same in flag names and spells abbreviations out.
func normalize(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	name = strings.ReplaceAll(name, "-", "_")
	if full, ok := abbreviations[name]; ok {
		name = full
	}
	return pflag.NormalizedName(name)
}
