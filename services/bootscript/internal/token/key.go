package token

import (
	"sync"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/secret"
)

// Keys finds the key that signs tokens: the secret that the cluster names, the
// same on all heads.
type Keys struct {
	secrets secret.Key

	mu  sync.Mutex
	id  string // of the secret that was opened last
	key []byte
}

// NewKeys returns keys that are opened with this head's key of the secrets.
func NewKeys(secrets secret.Key) *Keys { return &Keys{secrets: secrets} }

// Find returns the key as a state that folds the inventory and the secrets has
// it; Unavailable before it has reached this head.
func (k *Keys) Find(tx *projection.Tx) ([]byte, error) {
	cluster, err := catalog.Of(tx).Cluster()
	if err != nil {
		return nil, err
	}
	id := cluster.GetTokenKeyId()
	if id == "" {
		return nil, fault.Unavailablef("the cluster names no key for tokens")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.id == id {
		return k.key, nil
	}
	key, err := secret.Read(tx, k.secrets, id)
	if err == nil {
		k.id, k.key = id, key
	}
	return key, err
}
