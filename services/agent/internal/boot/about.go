package boot

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/luna-hpc/luna/services/agent/internal/cmdline"
)

// about is what a person at a console or behind ssh wants to know of the node.
// The boot finds it out bit by bit.
type about struct {
	mu                   sync.Mutex
	address, fingerprint string
	hardware             []string
}

func (a *about) know(what func(*about)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	what(a)
}

// text is the greeting of a node.
func (a *about) text(line cmdline.Line) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var t strings.Builder
	say := func(name, value string) {
		if value == "" {
			value = "not known yet"
		}
		fmt.Fprintf(&t, "  %-10s %s\n", name, value)
	}
	fmt.Fprintf(&t, "\nThis is %s in Luna's initrd.", line.Node)
	if line.Service {
		t.WriteString(" SERVICE MODE: nothing is installed, the disks are untouched.")
	}
	t.WriteString("\n\n")
	say("name", line.Hostname)
	say("address", a.address)
	say("ssh key", a.fingerprint)
	say("boot", line.Boot)
	for i, one := range a.hardware {
		say([]string{"hardware", " "}[min(i, 1)], one)
	}
	t.WriteString("\nluna-agent about tells this again")
	if line.Service {
		fmt.Fprintf(&t, ". To leave service mode type on a head\n    luna node change %s --service n\nand then here", line.Node)
	} else {
		t.WriteString("; the machine is started again by")
	}
	t.WriteString("\n    luna-agent reboot\n\n")
	return t.String()
}

// aboutNode answers luna-agent about.
func (b *Boot) aboutNode(send func(any) error) error { return send(b.about.text(b.Line)) }

// Text reads what aboutNode sends.
func Text(event json.RawMessage) (text string, err error) {
	if err := json.Unmarshal(event, &text); err != nil {
		return "", fmt.Errorf("read what the boot process says: %w", err)
	}
	return text, nil
}
