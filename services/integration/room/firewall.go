package room

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Block drops what comes to or goes from these TCP ports of the head, or goes from the head to these
// ports of a machine. Connections hang, as with a broken network; nothing is refused.
func (r *Room) Block(ctx context.Context, ports ...uint16) error {
	return r.setBlocked(ctx, ports, true)
}

// Unblock lets through what Block stopped.
func (r *Room) Unblock(ctx context.Context, ports ...uint16) error {
	return r.setBlocked(ctx, ports, false)
}

func (r *Room) setBlocked(ctx context.Context, ports []uint16, on bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := maps.Clone(r.blocked)
	for _, p := range ports {
		if on {
			next[p] = true
		} else {
			delete(next, p)
		}
	}
	cmd := r.Command(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(ruleset(slices.Sorted(maps.Keys(next))))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("set blocked ports: %w: %s", err, strings.TrimSpace(string(out)))
	}
	r.blocked = next
	return nil
}

// ruleset replaces the room's table as a whole. Loopback is left alone: only the network is cut.
func ruleset(ports []uint16) string {
	const clear = "table inet luna_room\ndelete table inet luna_room\n"
	if len(ports) == 0 {
		return clear
	}
	set := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(ports)), ", "), "[]")
	drop := fmt.Sprintf("tcp dport { %s } drop\n\t\ttcp sport { %s } drop", set, set)
	return clear + fmt.Sprintf(`table inet luna_room {
	chain input {
		type filter hook input priority -10
		iifname "lo" accept
		%[1]s
	}
	chain output {
		type filter hook output priority -10
		oifname "lo" accept
		%[1]s
	}
}
`, drop)
}
