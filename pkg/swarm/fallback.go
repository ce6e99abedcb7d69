package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/luna-hpc/luna/pkg/swarm/exchange"
)

const (
	fallbackWorkers  = 2
	fallbackTick     = 250 * time.Millisecond
	fallbackPause    = time.Second // after a failure, doubled up to fallbackPauseMax
	fallbackPauseMax = 15 * time.Second
	headerTimeout    = 10 * time.Second
	slowest          = 16 << 10 // bytes a second that a piece over HTTP must make, besides 30 s
)

// fallBack fetches pieces over HTTP while none come from the swarm, until all are there or ctx ends.
func (d *Downloader) fallBack(ctx context.Context, t *exchange.Torrent) {
	tr := &http.Transport{DialContext: dialFrom(d.cfg.Local).DialContext,
		MaxConnsPerHost: fallbackWorkers, ResponseHeaderTimeout: headerTimeout}
	defer tr.CloseIdleConnections()
	f := fallback{Downloader: d, torrent: t, http: &http.Client{Transport: tr}}
	seen, since, pause := d.viaSwarm.Load(), time.Now(), fallbackPause
	for {
		wait := fallbackTick
		missing := d.missing()
		if n := d.viaSwarm.Load(); n != seen || len(missing) == 0 { // a full window is no stall
			seen, since, pause = n, time.Now(), fallbackPause
		} else if len(d.cfg.HTTPBases) > 0 && time.Since(since) >= d.cfg.Stall {
			if err := f.round(ctx, missing, seen); err != nil && ctx.Err() == nil {
				d.note(err)
				wait = pause/2 + rand.N(pause)
				pause = min(2*pause, fallbackPauseMax)
			} else {
				pause = fallbackPause
			}
		}
		select {
		case <-d.done:
			return
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

type fallback struct {
	*Downloader
	torrent *exchange.Torrent
	http    *http.Client
	base    atomic.Int32 // index of the base that is used
}

// round fetches missing pieces in random order, so that nodes that fall back together have
// something to tell each other. It ends when the swarm delivers again, and at the first error but
// that of a wrong piece.
func (f *fallback) round(ctx context.Context, missing []int, seen int64) error {
	f.cfg.Log.Info("no pieces from the swarm, fetching over HTTP", "missing", len(missing))
	rand.Shuffle(len(missing), func(i, j int) { missing[i], missing[j] = missing[j], missing[i] })
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	pieces := make(chan int)
	var wrong atomic.Pointer[error]
	var wg sync.WaitGroup
	for range fallbackWorkers {
		wg.Go(func() {
			buf := make([]byte, f.store.pieceLength)
			for piece := range pieces {
				err := f.fetch(ctx, piece, buf)
				if errors.Is(err, exchange.ErrWrongPiece) {
					wrong.Store(&err) // others may be right
					continue
				}
				if err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	for _, piece := range missing {
		if f.viaSwarm.Load() != seen {
			break
		}
		if f.store.Has(piece) {
			continue
		}
		select {
		case pieces <- piece:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(pieces)
	wg.Wait()
	if err := wrong.Load(); err != nil && ctx.Err() == nil {
		return *err
	}
	return context.Cause(ctx)
}

// fetch gets one piece, checks it and has it passed on.
func (f *fallback) fetch(ctx context.Context, piece int, buf []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second+time.Duration(len(buf)/slowest)*time.Second)
	defer cancel()
	now := f.base.Load()
	url := f.cfg.HTTPBases[now] + f.store.segments[f.store.find(piece)].hex
	if err := f.read(ctx, url, f.store.offset(piece), buf); err != nil {
		f.base.CompareAndSwap(now, (now+1)%int32(len(f.cfg.HTTPBases)))
		return fmt.Errorf("piece %d: %w", piece, err)
	}
	err := f.store.keep(piece, buf, func() {
		f.fromHead.Add(int64(len(buf)))
		f.progress.Store(time.Now().UnixNano())
	})
	if err != nil {
		f.base.CompareAndSwap(now, (now+1)%int32(len(f.cfg.HTTPBases)))
		if !errors.Is(err, exchange.ErrWrongPiece) {
			f.fail(err) // no room, or a broken disk
		}
		return fmt.Errorf("%s: %w", url, err)
	}
	f.torrent.Have(piece)
	return nil
}

// read fills buf from the bytes at off.
func (f *fallback) read(ctx context.Context, url string, off int64, buf []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("ask for it: %w", err)
	}
	end := off + int64(len(buf)) - 1
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", off, end))
	resp, err := f.http.Do(req)
	if err != nil {
		return err // names method and URL
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusPartialContent {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	var first, last int64
	if _, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/", &first, &last); err != nil || first != off || last != end {
		return fmt.Errorf("%s gives bytes %q, not %d-%d", url, resp.Header.Get("Content-Range"), off, end)
	}
	if _, err := io.ReadFull(resp.Body, buf); err != nil {
		return fmt.Errorf("read %s: %w", url, err)
	}
	return nil
}
