// Package netswitch decides about Ethernet switches.
package netswitch

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/address"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
)

// OID is dot1qTpFdbPort (RFC 4363): the bridge port of each VLAN and MAC.
const OID = ".1.3.6.1.2.1.17.7.1.2.2.1.2"

// minPassword is the shortest password of SNMPv3 (RFC 3414, 11.2).
const minPassword = 8

var (
	oid   = regexp.MustCompile(`^\.?[0-2](\.[0-9]{1,10}){3,60}$`)
	auths = []string{"", "MD5", "SHA", "SHA224", "SHA256", "SHA384", "SHA512"}
	privs = []string{"", "DES", "AES", "AES192", "AES256"}
)

// Add makes a switch.
func Add(d *change.Draft, r *inventoryv1.SwitchAddRequest) error {
	if err := d.NameTaken(catalog.Switch, r.Name); err != nil {
		return err
	}
	switch {
	case r.Network == "":
		return fault.Invalidf("a switch needs the network that its address is in: --network")
	case r.Ip == "":
		return fault.Invalidf("a switch needs an address: --ip")
	}
	s := &inventoryv1.Switch{Id: change.NewID(), Name: r.Name, Oid: OID, Version: "2c", User: r.User,
		AuthProtocol: r.AuthProtocol, PrivProtocol: r.PrivProtocol, Uplinks: inventoryv1.Words(r.Uplinks), Comment: r.Comment}
	change.Set(&s.Oid, r.Oid)
	change.Set(&s.Version, r.Version)
	for _, x := range []struct {
		id   *string
		text string
	}{{&s.ReadId, r.Read}, {&s.RwId, r.Rw}, {&s.AuthId, r.AuthPassword}, {&s.PrivId, r.PrivPassword}} {
		if x.text != "" {
			setSecret(d, x.id, &x.text)
		}
	}
	if err := CheckPasswords(&r.AuthPassword, &r.PrivPassword); err != nil {
		return err
	}
	if err := Check(s); err != nil {
		return err
	}
	if err := move(d, s, r.Network, r.Ip); err != nil {
		return err
	}
	d.Put(s.Id, s)
	return nil
}

// Change sets fields of a switch.
func Change(d *change.Draft, r *inventoryv1.SwitchChangeRequest) error {
	o, err := d.Named(catalog.Switch, r.Name, r.IfRevision)
	if err != nil {
		return err
	}
	s := o.GetSwitch()
	change.Set(&s.Oid, r.Oid)
	change.Set(&s.Version, r.Version)
	change.Set(&s.User, r.User)
	change.Set(&s.AuthProtocol, r.AuthProtocol)
	change.Set(&s.PrivProtocol, r.PrivProtocol)
	change.Set(&s.Comment, r.Comment)
	if r.Uplinks != nil {
		s.Uplinks = inventoryv1.Words(*r.Uplinks)
	}
	if err := CheckPasswords(r.AuthPassword, r.PrivPassword); err != nil {
		return err
	}
	setSecret(d, &s.ReadId, r.Read)
	setSecret(d, &s.RwId, r.Rw)
	setSecret(d, &s.AuthId, r.AuthPassword)
	setSecret(d, &s.PrivId, r.PrivPassword)
	if err := Check(s); err != nil {
		return err
	}
	if r.Network != nil || r.Ip != nil {
		if err := remove(d, s, r); err != nil {
			return err
		}
	}
	d.Put(s.Id, s)
	return nil
}

// remove gives a switch another address, of another network when one is named.
func remove(d *change.Draft, s *inventoryv1.Switch, r *inventoryv1.SwitchChangeRequest) error {
	n, err := d.Network(s.NetworkId)
	if err != nil {
		return err
	}
	network, ip := n.GetName(), s.Ip
	change.Set(&network, r.Network)
	change.Set(&ip, r.Ip)
	if network == n.GetName() && ip == s.Ip {
		return nil
	}
	return move(d, s, network, ip)
}

// move gives a switch an address that nobody has.
func move(d *change.Draft, s *inventoryv1.Switch, network, ip string) error {
	o, err := d.Named(catalog.Network, network, 0)
	if err != nil {
		return err
	}
	addr, err := inventoryv1.ParseAddress("ip", ip)
	if err != nil {
		return fault.Invalidf("%w", err)
	}
	a, err := address.NewSet(d).Of(o.GetNetwork().Id)
	if err != nil {
		return err
	}
	if err := a.Take(addr); err != nil {
		return err
	}
	s.NetworkId, s.Ip = o.GetNetwork().Id, addr.String()
	return nil
}

// setSecret seals a text under a new id; an empty one takes the secret away.
func setSecret(d *change.Draft, id *string, text *string) {
	switch {
	case text == nil:
	case *text == "":
		*id = ""
	default:
		*id = d.Secret([]byte(*text))
	}
}

// CheckPasswords refuses passwords of SNMPv3 that are too short; nil and empty are none.
func CheckPasswords(all ...*string) error {
	for _, p := range all {
		if p != nil && *p != "" && len(*p) < minPassword {
			return fault.Invalidf("auth_password and priv_password must have %d characters or more", minPassword)
		}
	}
	return nil
}

// Check looks at the fields of a switch.
func Check(s *inventoryv1.Switch) error {
	for _, err := range []error{inventoryv1.CheckHostName(s.Name), inventoryv1.CheckText("comment", s.Comment),
		inventoryv1.CheckLine("user", s.User), inventoryv1.CheckLine("uplinks", strings.Join(s.Uplinks, ","))} {
		if err != nil {
			return fault.Invalidf("%w", err)
		}
	}
	switch {
	case !oid.MatchString(s.Oid):
		return fault.Invalidf("oid %q must be numbers with dots between them, as in %s", s.Oid, OID)
	case s.Version != "2c" && s.Version != "3":
		return fault.Invalidf("version must be 2c or 3, not %q", s.Version)
	case s.Version == "3" && s.User == "":
		return fault.Invalidf("version 3 needs a user: --user")
	case !slices.Contains(auths, s.AuthProtocol):
		return fault.Invalidf("auth_protocol must be one of %s, not %q", strings.Join(auths[1:], ", "), s.AuthProtocol)
	case !slices.Contains(privs, s.PrivProtocol):
		return fault.Invalidf("priv_protocol must be one of %s, not %q", strings.Join(privs[1:], ", "), s.PrivProtocol)
	case s.PrivProtocol != "" && s.AuthProtocol == "":
		return fault.Invalidf("priv_protocol needs an auth_protocol: SNMPv3 has no privacy without authentication")
	case (s.AuthProtocol != "") != (s.AuthId != ""):
		return fault.Invalidf("auth_protocol and auth_password go together")
	case (s.PrivProtocol != "") != (s.PrivId != ""):
		return fault.Invalidf("priv_protocol and priv_password go together")
	}
	return nil
}

// Delete removes a switch that no node is on; its address rests.
func Delete(d *change.Draft, r *inventoryv1.DeleteRequest) error {
	o, err := d.Named(catalog.Switch, r.Name, r.IfRevision)
	if err != nil {
		return err
	}
	s := o.GetSwitch()
	var user string
	err = d.Nodes(func(n *inventoryv1.Node) bool {
		if n.SwitchId == s.Id {
			user = n.Name
		}
		return user == ""
	})
	if err != nil {
		return err
	}
	if user != "" {
		return fault.Conflictf("switch %s has nodes, such as %s", s.Name, user)
	}
	if addr, err := netip.ParseAddr(s.Ip); err == nil {
		a, err := address.NewSet(d).Of(s.NetworkId)
		if err != nil {
			return fmt.Errorf("release the address of switch %s: %w", s.Name, err)
		}
		a.Release(addr)
	}
	d.Delete(catalog.Switch, s.Id, s.Name)
	return nil
}
