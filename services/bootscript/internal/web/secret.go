package web

import (
	"encoding/json"
	"net/http"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/pkg/secret"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/bootscript/internal/boot"
)

// told names the report that says that a boot was given its secrets.
const told = "boot.secret"

// secrets is what a node is told once a boot.
type secrets struct {
	BMCPassword string `json:"bmc_password"`
}

// secret answers ?step=secret&node=N: to the token of the node's boot, and once
// only, so that whoever learns the token later learns nothing by it.
func (h *Handler) secret(r *http.Request) (answer, error) {
	var s secrets
	var step *bootscriptv1.Step
	err := h.State.View(func(tx *projection.Tx) error {
		n, err := h.node(tx, r)
		if err != nil {
			return err
		}
		who, err := h.believe(tx, r, n, "")
		if err != nil || who.by != boot.ByToken {
			return err
		}
		step = who.step(n, &bootscriptv1.Report{Name: told, State: bootscriptv1.State_STATE_OK, Id: told})
		s, err = h.secretsOf(tx, r, n)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	if step == nil {
		return answer{http.StatusForbidden, "secrets are told only to the token of the node's boot.\n"}, nil
	}
	fresh, err := h.Book.KeepOnce(step)
	if err != nil {
		return answer{}, err
	}
	if !fresh {
		return answer{http.StatusForbidden, "the secrets were told in this boot already.\n"}, nil
	}
	text, err := json.Marshal(s)
	return script(string(text) + "\n"), err
}

func (h *Handler) secretsOf(tx *projection.Tx, r *http.Request, n *inventoryv1.Node) (secrets, error) {
	p, err := h.PlanOf(tx, n, asked(r))
	if err != nil {
		return secrets{}, err
	}
	if p.Bmcsetup == nil || !n.Setupbmc {
		return secrets{}, fault.NotFoundf("node %s has no secrets: its controller is not to be set up", n.Name)
	}
	password, err := secret.Read(tx, h.Secrets, p.Bmcsetup.PasswordId)
	return secrets{BMCPassword: string(password)}, err
}
