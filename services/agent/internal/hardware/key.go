package hardware

import (
	"fmt"
	"path"
	"strings"

	"github.com/luna-hpc/luna/services/agent/internal/sysroot"
)

// maxKeys is how many host keys a system may have.
const maxKeys = 16

// HostKeys returns the public ssh host keys of an installed system, without
// their comments: those files in etc/ssh whose private half stands beside
// them, which the key of an authority does not.
func HostKeys(system *sysroot.Tree) (keys []string, err error) {
	const dir = "etc/ssh"
	names, err := system.List(dir)
	if err != nil {
		return nil, fmt.Errorf("list the ssh host keys: %w", err)
	}
	for _, name := range names {
		private, ok := strings.CutSuffix(name, ".pub")
		if !ok || !system.Exists(path.Join(dir, private)) {
			continue
		}
		data, err := system.Read(path.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("read ssh host key %s: %w", name, err)
		}
		words := strings.Fields(string(data))
		// A certificate stands beside its key and is none.
		if len(words) < 2 || len(keys) == maxKeys || strings.Contains(words[0], "-cert-") {
			continue
		}
		keys = append(keys, words[0]+" "+words[1])
	}
	return keys, nil
}
