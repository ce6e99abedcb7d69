package token

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/luna-hpc/luna/services/bootscript/internal/machine"
)

// Fresh is how long an answered DHCP exchange can arm a token.
const Fresh = 5 * time.Minute

// maxExchanges bounds what is remembered; more machines never boot in five minutes.
const maxExchanges = 1 << 16

// Exchange is a DHCP exchange with a machine's iPXE that the dhcp service of
// this head answered.
type Exchange struct {
	MAC     string     `json:"mac"`
	Address netip.Addr `json:"address"`
	At      time.Time  `json:"at"`
}

// ParseExchange reads a datagram of the dhcp service.
func ParseExchange(data []byte) (Exchange, error) {
	var e Exchange
	if err := json.Unmarshal(data, &e); err != nil {
		return Exchange{}, fmt.Errorf("read DHCP exchange: %w", err)
	}
	mac, ok := machine.ParseMAC(e.MAC)
	if !ok || !e.Address.IsValid() || e.At.IsZero() {
		return Exchange{}, fmt.Errorf("read DHCP exchange: no MAC, address or time in %q", data)
	}
	e.MAC, e.Address = string(mac), e.Address.Unmap()
	return e, nil
}

// Exchanges remembers the newest exchange of each machine until it has armed a
// token or is too old.
type Exchanges struct {
	mu  sync.Mutex
	by  map[machine.MAC]Exchange
	now func() time.Time
}

// NewExchanges returns an empty memory.
func NewExchanges(now func() time.Time) *Exchanges {
	return &Exchanges{by: map[machine.MAC]Exchange{}, now: now}
}

// Note remembers an exchange in place of the machine's one before.
func (x *Exchanges) Note(e Exchange) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.by) >= maxExchanges {
		x.forgetOld()
	}
	if len(x.by) < maxExchanges {
		x.by[machine.MAC(e.MAC)] = e
	}
}

func (x *Exchanges) forgetOld() {
	for mac, e := range x.by {
		if !x.fresh(e) {
			delete(x.by, mac)
		}
	}
}

func (x *Exchanges) fresh(e Exchange) bool {
	age := x.now().Sub(e.At)
	return age < Fresh && age > -Fresh
}

// Find returns the first of a machine's MACs that got this address in a fresh exchange.
func (x *Exchanges) Find(m machine.Machine, from netip.Addr) (machine.MAC, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, mac := range m.MACs {
		if e, ok := x.by[mac]; ok && e.Address == from.Unmap() && x.fresh(e) {
			return mac, true
		}
	}
	return "", false
}

// Take uses up the fresh exchange of one MAC at an address; false when there is none.
func (x *Exchanges) Take(mac machine.MAC, from netip.Addr) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	e, ok := x.by[mac]
	if !ok || e.Address != from.Unmap() || !x.fresh(e) {
		return false
	}
	delete(x.by, mac)
	return true
}
