package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/luna-hpc/luna/pkg/subject"
)

// look is how often a service that is awaited is asked.
const look = 10 * time.Millisecond

// Readiness is what a health page says.
type Readiness struct {
	Ready   bool     `json:"ready"`
	Missing []string `json:"missing"`
	States  []struct {
		Stream   string `json:"stream"`
		Revision uint64 `json:"revision"`
		Live     bool   `json:"live"`
	} `json:"states"`
}

// Ready asks a service's health page.
func (h *Head) Ready(ctx context.Context, name string) (r Readiness, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/readyz", health[name]), nil)
	if err != nil {
		return r, err
	}
	web := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(_ context.Context, network, address string) (net.Conn, error) {
		return dialer{h.ns}.Dial(network, address)
	}}}
	rep, err := web.Do(req)
	if err != nil {
		return r, err
	}
	defer rep.Body.Close()
	return r, json.NewDecoder(rep.Body).Decode(&r)
}

// WaitReady waits until services do their work and, when revision is not 0, have folded the inventory up to it.
func (h *Head) WaitReady(ctx context.Context, revision uint64, names ...string) error {
	for _, name := range names {
		for {
			r, err := h.Ready(ctx, name)
			if err == nil && r.Ready && r.Follows(revision) {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s is not ready: %+v, %w", name, r, errors.Join(err, ctx.Err()))
			case <-time.After(look):
			}
		}
	}
	return nil
}

// Follows tells whether the service follows its streams and has folded the inventory up to a revision; 0 is no question.
func (r Readiness) Follows(revision uint64) bool {
	for _, s := range r.States {
		if !s.Live && revision > 0 {
			return false
		}
		if s.Stream == subject.Inventory && s.Revision < revision {
			return false
		}
	}
	return true
}
