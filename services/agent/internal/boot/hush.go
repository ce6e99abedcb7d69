package boot

import (
	"sync"
	"time"
)

// hushed is how long a try's reports are held back. What takes longer than the
// same failure before is news.
const hushed = time.Minute

// hush holds back the reports of a try that may be only the last one again.
type hush struct {
	mu      sync.Mutex
	holding bool
	mark    int
	timer   *time.Timer
}

// begin holds back what is reported from now on.
func (h *hush) begin(b *Boot) {
	mark, err := b.Report.Spool.Mark()
	if err != nil {
		b.Log.Warn("all steps are reported again", "err", err)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.holding, h.mark = true, mark
	h.timer = time.AfterFunc(hushed, func() { h.end(b, false) })
}

// end drops what was held back when it was the same again, else lets it go. It
// tells whether it dropped.
func (h *hush) end(b *Boot, same bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.holding {
		return false
	}
	h.holding = false
	h.timer.Stop()
	if !same {
		b.nudge()
		return false
	}
	if err := b.Report.Spool.Drop(h.mark); err != nil {
		b.Log.Warn("some steps are reported again", "err", err)
	}
	return true
}

func (h *hush) on() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.holding
}
