package web

import (
	"net/http"
	"net/netip"

	"github.com/luna-hpc/luna/pkg/projection"
	"github.com/luna-hpc/luna/services/bootscript/internal/boot"
	"github.com/luna-hpc/luna/services/bootscript/internal/hardware"
)

// distrusted is what who is not believed about hardware is told.
const distrusted = "hardware counts only with the token of its boot, or from the node's own address and a port below 1024.\n"

// hardware answers POST ?step=hardware&node=N. Operators trust the host keys in
// it, so the node's address alone, which all its users have, is not enough: it
// must come from a port that only root may use.
func (h *Handler) hardware(r *http.Request, body []byte) (answer, error) {
	found, err := hardware.Parse(body)
	if err != nil {
		return answer{}, err
	}
	var nodeID string
	var who speaker
	err = h.State.View(func(tx *projection.Tx) error {
		n, err := h.node(tx, r)
		if err != nil {
			return err
		}
		nodeID = n.Id
		who, err = h.believe(tx, r, n, found.BootId)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	if who.by == boot.ByNothing || who.by == boot.ByAddress && !privileged(r) {
		return answer{http.StatusForbidden, distrusted}, nil
	}
	if who.fresh {
		who.boot = "" // hardware begins no boot
	}
	if err := h.Hardware.Keep(nodeID, who.boot, found); err != nil {
		return answer{}, err
	}
	return answer{http.StatusOK, "ok\n"}, nil
}

// privileged tells whether a request came from a port that only root may use.
func privileged(r *http.Request) bool {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && ap.Port() < 1024
}
