package poll

import (
	"errors"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/secret"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/switch-poller/internal/walk"
)

// errNoLogin is why a switch is not polled: there is no community that everybody knows.
var errNoLogin = errors.New("it has no read community: luna switch change NAME --read COMMUNITY, or --version 3 --user USER")

// target is a switch with what it takes to ask it.
type target struct {
	*inventoryv1.Switch
	login walk.Login
}

// find reads a switch and opens its secrets; it is nil when there is no such switch.
func find(state *projection.State, key secret.Key, id string) (t *target, err error) {
	err = state.View(func(tx *projection.Tx) error {
		sw, err := catalog.Of(tx).Switch(id)
		if err != nil || sw == nil {
			return err
		}
		t = &target{Switch: sw}
		t.login, err = login(tx, key, sw)
		return err
	})
	return t, err
}

func login(tx *projection.Tx, key secret.Key, sw *inventoryv1.Switch) (l walk.Login, err error) {
	read := func(into *string, id string) {
		if err != nil || id == "" {
			return
		}
		var data []byte
		if data, err = secret.Read(tx, key, id); err == nil {
			*into = string(data)
		}
	}
	switch {
	case sw.Version == "3" && sw.User != "":
		l.User, l.AuthProtocol, l.PrivProtocol = sw.User, sw.AuthProtocol, sw.PrivProtocol
		read(&l.AuthPassword, sw.AuthId)
		read(&l.PrivPassword, sw.PrivId)
	case sw.Version != "3" && sw.ReadId != "":
		read(&l.Community, sw.ReadId)
	default:
		return l, errNoLogin
	}
	return l, err
}
