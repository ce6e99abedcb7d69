package boot

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/luna-hpc/luna/services/agent/internal/bootorder"
	"github.com/luna-hpc/luna/services/agent/internal/netif"
	"github.com/luna-hpc/luna/services/agent/internal/report"
	"github.com/luna-hpc/luna/services/agent/internal/shell"
	"github.com/luna-hpc/luna/services/agent/internal/sshd"
	"github.com/luna-hpc/luna/services/agent/internal/udev"
)

// ssh starts the ssh server. A node is installed without one too.
func (b *Boot) ssh(ctx context.Context) *sshd.Server {
	begin := time.Now()
	server, err := sshd.Start(ctx, filepath.Join(b.Run, "ssh"))
	result := report.Result{Tried: "sshd on port 22"}
	if err != nil {
		b.Log.Warn("no ssh server", "err", err)
	} else {
		result.Values = map[string]string{"fingerprint": server.Fingerprint}
		b.Log.Info("the ssh server runs", "host_key", server.Fingerprint)
		b.about.know(func(a *about) { a.fingerprint = server.Fingerprint })
	}
	b.Report.Ended(ctx, "agent.sshd", time.Since(begin), result, err)
	return server
}

// service waits in service mode until ctx ends.
func (b *Boot) service(ctx context.Context) error {
	b.Log.Info("service mode: disks stay untouched; a shell is on every console")
	b.Report.Ended(ctx, "agent.service", 0, report.Result{Tried: "luna.service=1"}, nil)
	text := b.about.text(b.Line)
	// The shells opened before all this was known; ssh has its own greeting.
	_, _ = b.Consoles.Write([]byte(text))
	if err := os.WriteFile(filepath.Join(b.system, "etc/motd"), []byte(text), 0o644); err != nil {
		b.Log.Warn("ssh greets nobody", "err", err)
	}
	<-ctx.Done()
	return ctx.Err()
}

// shells keeps a shell open on each of the desk's terminals until ctx ends.
func (b *Boot) shells(ctx context.Context, desk *shell.Desk) {
	const again = time.Second
	var open sync.WaitGroup
	for _, t := range desk.Terminals {
		open.Go(func() {
			for ctx.Err() == nil {
				if err := t.Open(ctx, desk.Env, desk.Greeting()); err != nil {
					b.Log.Warn("no shell on this console", "console", t, "err", err)
					return
				}
				select {
				case <-time.After(again):
				case <-ctx.Done():
				}
			}
		})
	}
	open.Wait()
}

// leave takes away all that the boot has made but the installed system. What
// fails is said: that system starts all the same.
func (b *Boot) leave(ctx context.Context, card string, ssh *sshd.Server) error {
	const last = 10 * time.Second
	say := func(what string, err error) {
		if err != nil {
			b.Log.Warn(what, "err", err)
		}
	}
	say("some steps are not reported", flush(ctx, b.Report, last))
	b.Keeper.Give(ctx)
	say("end the payload's exchange", b.Keeper.Close())
	if ssh != nil {
		say("end the ssh server", ssh.Stop())
	}
	if u := udev.Find("/"); u != nil {
		say("end udev", u.Stop(ctx))
	}
	say("take the network down", netif.Down(card))
	say("tidy up", os.RemoveAll(b.Run))
	b.Log.Info("the installed system starts")
	return nil
}

// keepOrder undoes what an installed boot loader did to the firmware's boot
// order. The node is installed without it too.
func (b *Boot) keepOrder(ctx context.Context) {
	begin := time.Now()
	changed, err := bootorder.Keep(bootorder.Dir)
	if changed || err != nil {
		b.Report.Ended(ctx, "agent.bootorder", time.Since(begin), report.Result{Tried: "put the network first"}, err)
	}
}

func flush(ctx context.Context, r *report.Reporter, bound time.Duration) error {
	_, err := bounded(ctx, bound, func(ctx context.Context) (struct{}, error) { return struct{}{}, r.Flush(ctx) })
	if err != nil {
		n, _ := r.Spool.Waiting()
		return fmt.Errorf("%d wait: %w", n, err)
	}
	return nil
}
