package payload

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/luna-hpc/luna/pkg/swarm"
	"github.com/luna-hpc/luna/services/agent/internal/head"
	"github.com/luna-hpc/luna/services/agent/internal/report"
	"github.com/luna-hpc/luna/services/agent/internal/sysroot"
)

// progress says on the consoles how the download is, and reports when nothing
// arrives for long.
func (w *work) progress(ctx context.Context, s swarm.Stats) {
	w.last = s
	if w.request.Window > 0 {
		// Nothing can arrive while what is there is unpacked.
		_, unpacked := w.unpacker.Stats()
		w.watch.used(time.Now(), unpacked)
	}
	say := w.watch.see(time.Now(), s)
	if say.Progress {
		said := []any{"done", percent(s.Completed, s.Total), "rate", fmt.Sprintf("%.1f MB/s", say.Rate/1e6),
			"from_head", sysroot.Size(s.FromHead), "from_peers", sysroot.Size(s.FromPeers), "peers", s.Peers}
		if w.unpacker != nil {
			_, unpacked := w.unpacker.Stats()
			said = append(said, "unpacked", percent(unpacked, w.manifest.Unpacked))
		}
		w.Log.Info("payload", said...)
	}
	if say.Back {
		w.Log.Info("the payload arrives again", "done", percent(s.Completed, s.Total))
		w.Report.Started(ctx, downloadStep, w.tried)
	}
	if !say.Stalled {
		return
	}
	err := stalled(say.For, s)
	w.Log.Warn("payload", "done", percent(s.Completed, s.Total), "err", err)
	if say.Report {
		w.Report.Ended(ctx, downloadStep, time.Since(w.began), report.Result{Tried: w.tried + ", pieces at " + strings.Join(w.request.Pieces, " ")}, err)
	}
}

// stalled tells why nothing arrives, as far as it is known.
func stalled(since time.Duration, s swarm.Stats) error {
	why := s.LastError
	if why == "" {
		why = "no error is known"
	}
	return fmt.Errorf("nothing has arrived for %.0f s, %d peers are connected: %s; still trying", since.Seconds(), s.Peers, why)
}

// persist does what may fail while the head is away until it succeeds. A
// refusal of the head ends it.
func (w *work) persist(ctx context.Context, do func() error) error {
	begin, said, reported := time.Now(), time.Time{}, false
	for {
		err := do()
		if err == nil {
			if reported {
				w.Log.Info("the head answers again")
				w.Report.Started(ctx, downloadStep, w.tried)
			}
			return nil
		}
		if head.IsRefused(err) || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if time.Since(said) >= quiet {
			w.Log.Warn("payload, still trying", "err", err)
			said = time.Now()
		}
		if !reported && time.Since(begin) >= silent {
			reported = true
			w.Report.Ended(ctx, downloadStep, time.Since(w.began), report.Result{Tried: w.tried}, err)
		}
		select {
		case <-time.After(w.Pause):
		case <-ctx.Done():
			return err
		}
	}
}
