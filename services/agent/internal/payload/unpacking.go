package payload

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/luna-hpc/luna/services/agent/internal/report"
)

// unpacking is the second step, which runs beside the first.
type unpacking struct {
	began time.Time

	mu  sync.Mutex
	err error
}

// start reports once that unpacking begins.
func (u *unpacking) start(ctx context.Context, w *work) {
	if u.began.IsZero() {
		u.began = time.Now()
		w.Report.Started(ctx, unpackStep, w.Root)
	}
}

// end reports how unpacking ended, if it had begun.
func (u *unpacking) end(ctx context.Context, w *work, err error) {
	if u.began.IsZero() {
		return
	}
	files, bytes := w.unpacker.Stats()
	values := map[string]string{"files": strconv.FormatInt(files, 10), "bytes": strconv.FormatInt(bytes, 10)}
	for name, n := range w.unpacker.Refused() {
		values["refused."+name] = strconv.Itoa(n)
		w.Log.Warn("the file system does not take an attribute", "name", name, "files", n)
	}
	w.Report.Ended(ctx, unpackStep, time.Since(u.began), report.Result{Tried: w.Root, Values: values}, err)
}

// fail keeps the first failure.
func (u *unpacking) fail(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err == nil {
		u.err = err
	}
}

func (u *unpacking) failure() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}
