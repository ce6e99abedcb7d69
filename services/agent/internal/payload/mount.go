package payload

import (
	"context"
	"path/filepath"
	"strconv"

	"github.com/luna-hpc/luna/services/agent/internal/download"
	"github.com/luna-hpc/luna/services/agent/internal/report"
)

// imageFile is where the segments of a compressed root lie one behind the other: the image as it is mounted.
const imageFile = "image"

// mount has all segments come, each of which the exchange compares with its digest, and mounts them as the root.
func (w *work) mount(ctx context.Context) error {
	err := w.Follow(ctx, w.request, func(e download.Event) error {
		if e.Stats != nil {
			w.progress(ctx, *e.Stats)
		}
		return nil
	})
	w.downloaded(ctx, err)
	if err != nil {
		return err
	}
	image := filepath.Join(w.Dir, imageFile)
	return w.Report.Step(ctx, mountStep, "mount "+image+" on "+w.Root, func(ctx context.Context) (report.Result, error) {
		return report.Result{Values: map[string]string{"bytes": strconv.FormatInt(w.manifest.Size(), 10)}}, w.Overlay(ctx, image, w.Root)
	})
}
