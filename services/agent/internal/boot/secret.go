package boot

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/luna-hpc/luna/services/agent/internal/head"
)

// secrets are what the head tells once a boot. They are kept in memory, for the
// tries of the install script after the first.
type secrets struct {
	mu   sync.Mutex
	told json.RawMessage
}

func (s *secrets) get(ctx context.Context, h *head.Head) (json.RawMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told != nil {
		return s.told, nil
	}
	told, err := h.Secret(ctx)
	if err == nil {
		s.told = told
	}
	return s.told, err
}
