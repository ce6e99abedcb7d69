package boot

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/luna-hpc/luna/services/agent/internal/cmdline"
	"github.com/luna-hpc/luna/services/agent/internal/netif"
	"github.com/luna-hpc/luna/services/agent/internal/report"
	"github.com/luna-hpc/luna/services/agent/internal/shell"
)

const (
	// cards is how long the boot interface may take to appear, link until it has
	// a carrier: some switches take half a minute.
	cards = 60 * time.Second
	link  = 45 * time.Second
)

// network brings the boot interface up, again and again until it succeeds, and
// returns its name.
func (b *Boot) network(ctx context.Context, desk *shell.Desk) (card string, err error) {
	said := ""
	for {
		begin := time.Now()
		name, setting, err := b.connect(ctx)
		result := report.Result{Tried: b.tried()}
		if err == nil {
			result.Values = setting.Values(name)
			b.Log.Info("the network is up", "interface", name, "address", setting.Address)
			b.about.know(func(a *about) { a.address = setting.Address.String() + " on " + name })
		}
		if err == nil || err.Error() != said {
			b.Report.Ended(ctx, "agent.network", time.Since(begin), result, err)
		}
		if err == nil {
			return name, nil
		}
		said = err.Error()
		b.Log.Error("no network, next try in 10 s; Enter opens a shell", "err", err)
		if err := wait(ctx, b.pause, desk); err != nil {
			return "", err
		}
	}
}

func (b *Boot) tried() string {
	if b.Line.Protocol == cmdline.DHCP {
		return fmt.Sprintf("DHCP on %s", b.Line.MAC)
	}
	return fmt.Sprintf("%s on %s", b.Line.Address, b.Line.MAC)
}

func (b *Boot) connect(ctx context.Context) (name string, s netif.Setting, err error) {
	name, err = bounded(ctx, cards, func(ctx context.Context) (string, error) { return netif.Wait(ctx, b.Line.MAC) })
	if err != nil {
		return "", s, err
	}
	_, err = bounded(ctx, link, func(ctx context.Context) (struct{}, error) { return struct{}{}, netif.Up(ctx, name) })
	if err != nil {
		return name, s, err
	}
	_, domain, _ := strings.Cut(b.Line.Hostname, ".")
	s = netif.Setting{Address: b.Line.Address, Gateway: b.Line.Gateway, DNS: b.Line.DNS, Search: domain}
	if b.Line.Protocol == cmdline.DHCP {
		if s, err = netif.Lease(ctx, name, b.Line.Node); err != nil {
			return name, s, err
		}
	}
	if err := netif.Apply(name, s); err != nil {
		return name, s, err
	}
	if err := os.WriteFile("/etc/resolv.conf", []byte(s.Resolver()), 0o644); err != nil {
		return name, s, fmt.Errorf("set name servers: %w", err)
	}
	return name, s, nil
}

func bounded[T any](ctx context.Context, bound time.Duration, do func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	return do(ctx)
}
