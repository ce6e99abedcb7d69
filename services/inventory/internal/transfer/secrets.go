package transfer

import (
	"strings"

	"github.com/luna-hpc/luna/pkg/blueprint"
	"github.com/luna-hpc/luna/pkg/catalog"
	inventoryv1 "github.com/luna-hpc/luna/proto/inventory/v1"
	"github.com/luna-hpc/luna/services/inventory/internal/bmcsetup"
	"github.com/luna-hpc/luna/services/inventory/internal/change"
	"github.com/luna-hpc/luna/services/inventory/internal/netswitch"
)

func (p *plan) bmcsetup(o *object, id string, t *blueprint.Bmcsetup) error {
	b := bmcsetup.Defaults()
	b.Id, b.Name, b.Required, b.Comment = id, o.name, t.Required, t.Comment
	change.Set(&b.User, t.User)
	change.Set(&b.Userid, t.Userid)
	change.Set(&b.Netchannel, t.Netchannel)
	change.Set(&b.Mgmtchannel, t.Mgmtchannel)
	change.Set(&b.Protocol, t.Protocol)
	o.now = b
	b.PasswordId = oldOf[*inventoryv1.Bmcsetup](o).PasswordId
	if t.Password != "" && t.Password != blueprint.Kept {
		if err := bmcsetup.CheckPassword(t.Password); err != nil {
			return err
		}
		b.PasswordId = p.draft.SameSecret(b.PasswordId, id, "password", []byte(t.Password))
	}
	if b.PasswordId == "" {
		b.PasswordId = p.draft.Secret([]byte(bmcsetup.Password))
		if t.Password == blueprint.Kept {
			p.note(o, "the text does not tell its password, which is %s until you type it: luna bmcsetup change %s --password PASSWORD", bmcsetup.Password, o.name)
		}
	}
	return nil
}

func (p *plan) netswitch(o *object, id string, t *blueprint.Switch) (err error) {
	old := oldOf[*inventoryv1.Switch](o)
	s := &inventoryv1.Switch{Id: id, Name: o.name, Oid: netswitch.OID, Version: "2c", User: t.User, AuthProtocol: t.AuthProtocol,
		PrivProtocol: t.PrivProtocol, Uplinks: t.Uplinks, Comment: t.Comment}
	change.Set(&s.Oid, t.Oid)
	change.Set(&s.Version, t.Version)
	o.now = s
	if s.NetworkId, err = p.refer(catalog.Network, "network", t.Network); err != nil {
		return err
	}
	var missing []string
	for _, x := range []struct {
		what, text, old string
		to              *string
	}{{"read", t.Read, old.ReadId, &s.ReadId}, {"rw", t.Rw, old.RwId, &s.RwId},
		{"auth_password", t.AuthPassword, old.AuthId, &s.AuthId}, {"priv_password", t.PrivPassword, old.PrivId, &s.PrivId}} {
		switch {
		case x.text == "":
		case x.text != blueprint.Kept:
			*x.to = p.draft.SameSecret(x.old, id, x.what, []byte(x.text))
		case x.old != "":
			*x.to = x.old
		default:
			missing = append(missing, x.what)
		}
	}
	if err := netswitch.CheckPasswords(typed(t.AuthPassword), typed(t.PrivPassword)); err != nil {
		return err
	}
	p.without(o, s, missing)
	return o.want("ip", "", t.Network, t.IP)
}

// typed returns a secret that a text tells.
func typed(text string) *string {
	if text == blueprint.Kept {
		return nil
	}
	return &text
}

// without makes a switch do without secrets that nobody told: a protocol of
// SNMPv3 without its password is none.
func (p *plan) without(o *object, s *inventoryv1.Switch, missing []string) {
	if len(missing) == 0 {
		return
	}
	command := "luna switch change " + o.name
	flag := func(name, value string) { command += " --" + name + " " + value }
	for _, what := range missing {
		switch what {
		case "auth_password":
			flag("auth_protocol", s.AuthProtocol)
		case "priv_password":
			flag("priv_protocol", s.PrivProtocol)
		}
		flag(what, strings.ToUpper(what[strings.LastIndex(what, "_")+1:]))
	}
	if s.AuthId == "" && s.PrivId != "" {
		flag("priv_protocol", s.PrivProtocol)
		flag("priv_password", "PASSWORD")
		s.PrivId = ""
	}
	p.note(o, "the text does not tell %s; type what it is: %s", strings.Join(missing, ", "), command)
	if s.AuthId == "" {
		s.AuthProtocol = ""
	}
	if s.PrivId == "" {
		s.PrivProtocol = ""
	}
}
