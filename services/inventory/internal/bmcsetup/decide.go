// Package bmcsetup decides about how management controllers are set up.
package bmcsetup

import (
	"strings"

	"github.com/luna-hpc/luna/pkg/catalog"
	"github.com/luna-hpc/luna/pkg/fault"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
)

// What a new one has unless told otherwise.
const (
	User     = "ladmin"
	Password = "ladmin"
	UserID   = 3
	Channel  = 1
	Protocol = "ipmi"
)

// The limits of IPMI 2.0, 22.28 and 22.30.
const (
	maxUser     = 16
	maxPassword = 20
)

// Add makes a BMC set-up.
func Add(d *change.Draft, r *inventoryv1.BmcsetupAddRequest) error {
	if err := d.NameTaken(catalog.Bmcsetup, r.Name); err != nil {
		return err
	}
	b := Defaults()
	b.Id, b.Name, b.Required, b.Comment = change.NewID(), r.Name, r.Required, r.Comment
	password := Password
	change.Set(&password, r.Password)
	change.Set(&b.User, r.User)
	change.Set(&b.Userid, r.Userid)
	change.Set(&b.Netchannel, r.Netchannel)
	change.Set(&b.Mgmtchannel, r.Mgmtchannel)
	change.Set(&b.Protocol, r.Protocol)
	if err := setPassword(d, b, password); err != nil {
		return err
	}
	if err := Check(b); err != nil {
		return err
	}
	d.Put(b.Id, b)
	return nil
}

// Change sets fields of a BMC set-up.
func Change(d *change.Draft, r *inventoryv1.BmcsetupChangeRequest) error {
	o, err := d.Named(catalog.Bmcsetup, r.Name, r.IfRevision)
	if err != nil {
		return err
	}
	b := o.GetBmcsetup()
	change.Set(&b.User, r.User)
	change.Set(&b.Userid, r.Userid)
	change.Set(&b.Netchannel, r.Netchannel)
	change.Set(&b.Mgmtchannel, r.Mgmtchannel)
	change.Set(&b.Protocol, r.Protocol)
	change.Set(&b.Required, r.Required)
	change.Set(&b.Comment, r.Comment)
	if r.Password != nil {
		if err := setPassword(d, b, *r.Password); err != nil {
			return err
		}
	}
	if err := Check(b); err != nil {
		return err
	}
	d.Put(b.Id, b)
	return nil
}

// Defaults returns what a BMC set-up has unless told otherwise.
func Defaults() *inventoryv1.Bmcsetup {
	return &inventoryv1.Bmcsetup{User: User, Userid: UserID, Netchannel: Channel, Mgmtchannel: Channel, Protocol: Protocol}
}

func setPassword(d *change.Draft, b *inventoryv1.Bmcsetup, password string) error {
	if err := CheckPassword(password); err != nil {
		return err
	}
	b.PasswordId = d.Secret([]byte(password))
	return nil
}

// CheckPassword refuses what controllers do not keep as it is.
func CheckPassword(password string) error {
	switch {
	case password == "" || len(password) > maxPassword:
		return fault.Invalidf("password must be 1 to %d characters: controllers cut it off there", maxPassword)
	case strings.ContainsFunc(password, func(r rune) bool { return r < ' ' || r > '~' }):
		return fault.Invalidf("password must be printable ASCII: controllers disagree about anything else")
	}
	return nil
}

// Check looks at the fields of a BMC set-up.
func Check(b *inventoryv1.Bmcsetup) error {
	for _, err := range []error{inventoryv1.CheckName(b.Name), inventoryv1.CheckText("comment", b.Comment)} {
		if err != nil {
			return fault.Invalidf("%w", err)
		}
	}
	switch {
	case b.User == "" || len(b.User) > maxUser || strings.ContainsFunc(b.User, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fault.Invalidf("user %q must be 1 to %d printable ASCII characters without spaces", b.User, maxUser)
	case b.Userid < 2 || b.Userid > 15:
		return fault.Invalidf("userid must be 2 to 15, not %d: slot 1 is the anonymous user's", b.Userid)
	case b.Protocol != "ipmi" && b.Protocol != "redfish":
		return fault.Invalidf("protocol must be ipmi or redfish, not %q", b.Protocol)
	}
	for what, channel := range map[string]uint32{"netchannel": b.Netchannel, "mgmtchannel": b.Mgmtchannel} {
		if channel < 1 || channel > 14 {
			return fault.Invalidf("%s must be 1 to 14, not %d", what, channel)
		}
	}
	return nil
}

// Delete removes a BMC set-up that no group has.
func Delete(d *change.Draft, r *inventoryv1.DeleteRequest) error {
	o, err := d.Named(catalog.Bmcsetup, r.Name, r.IfRevision)
	if err != nil {
		return err
	}
	b := o.GetBmcsetup()
	var user string
	err = d.Each(catalog.Group, "", func(o *inventoryv1.Object) bool {
		if o.GetGroup().BmcsetupId == b.Id {
			user = o.GetGroup().Name
		}
		return user == ""
	})
	if err != nil {
		return err
	}
	if user != "" {
		return fault.Conflictf("bmcsetup %s is used by group %s", b.Name, user)
	}
	d.Delete(catalog.Bmcsetup, b.Id, b.Name)
	return nil
}
