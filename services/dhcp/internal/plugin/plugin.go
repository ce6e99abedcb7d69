// Package plugin loads coredhcp plugins that an operator adds to the answers.
package plugin

import (
	"fmt"
	"strings"

	"github.com/coredhcp/coredhcp/handler"
	"github.com/coredhcp/coredhcp/plugins"
	"github.com/coredhcp/coredhcp/plugins/autoconfigure"
	"github.com/coredhcp/coredhcp/plugins/ipv6only"
	"github.com/coredhcp/coredhcp/plugins/sleep"
	"github.com/coredhcp/coredhcp/plugins/staticroute"
)

// known are coredhcp's plugins that set what Luna does not.
var known = []*plugins.Plugin{&autoconfigure.Plugin, &ipv6only.Plugin, &sleep.Plugin, &staticroute.Plugin}

// Load returns the handlers of plugins, each given as its name and arguments.
func Load(lines []string) ([]handler.Handler4, error) {
	var all []handler.Handler4
	for _, line := range lines {
		h, err := load(strings.Fields(line))
		if err != nil {
			return nil, fmt.Errorf("plugin %q: %w", line, err)
		}
		all = append(all, h)
	}
	return all, nil
}

func load(words []string) (handler.Handler4, error) {
	names := make([]string, 0, len(known))
	for _, p := range known {
		if len(words) > 0 && p.Name == words[0] {
			return p.Setup4(words[1:]...)
		}
		names = append(names, p.Name)
	}
	return nil, fmt.Errorf("there is no such plugin, only %s", strings.Join(names, ", "))
}
