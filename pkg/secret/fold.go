package secret

import (
	"fmt"
	"strings"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/subject"
)

const sealed = "secret" // secret id → sealed bytes

// Fold keeps the sealed secrets of services that may read them.
func Fold() projection.Fold {
	return projection.Fold{Stream: subject.Secrets, Version: 1, Buckets: []string{sealed},
		Apply: func(tx *projection.Tx, ev projection.Event) error {
			id, ok := strings.CutPrefix(ev.Subject, subject.Secret(""))
			switch {
			case !ok:
				return nil
			case ev.Deleted():
				return tx.Delete(sealed, id)
			}
			return tx.Put(sealed, id, ev.Data)
		}}
}

// Read opens a secret of the state; Unavailable when it has not come yet.
func Read(tx *projection.Tx, k Key, id string) ([]byte, error) {
	data, err := tx.Get(sealed, id)
	if err != nil {
		return nil, err
	}
	if data == nil {
		return nil, fault.Unavailablef("secret %s has not reached this head", id)
	}
	data, err = k.Open(id, data)
	if err != nil {
		return nil, fmt.Errorf("read a secret: %w", err)
	}
	return data, nil
}
