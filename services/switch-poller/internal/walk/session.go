// Package walk reads tables of a switch over SNMP, within bounds that no answer can break.
package walk

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/gosnmp/gosnmp"

	"github.com/luna-hpc/luna/pkg/fault"
)

// longestCommunity is what the encoder can write the length of.
const longestCommunity = 127

// Login is how a switch is asked: the community of version 2c, or the user of version 3.
type Login struct {
	// Community of version 2c; unused when there is a User.
	Community string
	// User of version 3 (RFC 3414).
	User string
	// AuthProtocol and PrivProtocol are named as in inventory.v1.Switch; empty is none.
	AuthProtocol, AuthPassword string
	PrivProtocol, PrivPassword string
}

// Limits bound what is asked.
type Limits struct {
	// Timeout is how long one answer is waited for, Retries how often it is asked for again.
	Timeout time.Duration
	Retries int
	// Repetitions is how many rows one answer may have.
	Repetitions uint32
	// Rows is how many rows one table may have.
	Rows int
}

// Session is a conversation with one switch; not for use by several goroutines.
type Session struct {
	client *gosnmp.GoSNMP
	limits Limits
	stop   func() bool
}

var auths = map[string]gosnmp.SnmpV3AuthProtocol{"": gosnmp.NoAuth, "MD5": gosnmp.MD5, "SHA": gosnmp.SHA,
	"SHA224": gosnmp.SHA224, "SHA256": gosnmp.SHA256, "SHA384": gosnmp.SHA384, "SHA512": gosnmp.SHA512}

var privs = map[string]gosnmp.SnmpV3PrivProtocol{"": gosnmp.NoPriv, "DES": gosnmp.DES, "AES": gosnmp.AES,
	"AES192": gosnmp.AES192, "AES256": gosnmp.AES256}

// Dial opens a socket that hears the switch alone; nothing is sent yet. The session is cut when ctx ends.
func Dial(ctx context.Context, to netip.AddrPort, l Login, limits Limits) (*Session, error) {
	c := &gosnmp.GoSNMP{Target: to.Addr().String(), Port: to.Port(), Transport: "udp", Context: ctx,
		Timeout: limits.Timeout, Retries: limits.Retries, MaxOids: 1}
	if err := l.apply(c); err != nil {
		return nil, err
	}
	if err := c.Connect(); err != nil {
		return nil, fmt.Errorf("ask %s: %w", to, err)
	}
	conn := c.Conn
	return &Session{client: c, limits: limits, stop: context.AfterFunc(ctx, func() { conn.Close() })}, nil
}

func (l Login) apply(c *gosnmp.GoSNMP) error {
	if l.User == "" {
		c.Version, c.Community = gosnmp.Version2c, l.Community
		if l.Community == "" || len(l.Community) > longestCommunity {
			return fault.Invalidf("a community must have 1 to %d characters", longestCommunity)
		}
		return nil
	}
	auth, known := auths[l.AuthProtocol]
	priv, also := privs[l.PrivProtocol]
	if !known || !also {
		return fault.Invalidf("SNMPv3 with %q and %q is not known", l.AuthProtocol, l.PrivProtocol)
	}
	c.Version, c.SecurityModel, c.MsgFlags = gosnmp.Version3, gosnmp.UserSecurityModel, gosnmp.NoAuthNoPriv
	switch {
	case l.PrivProtocol != "":
		c.MsgFlags = gosnmp.AuthPriv
	case l.AuthProtocol != "":
		c.MsgFlags = gosnmp.AuthNoPriv
	}
	c.SecurityParameters = &gosnmp.UsmSecurityParameters{UserName: l.User,
		AuthenticationProtocol: auth, AuthenticationPassphrase: l.AuthPassword,
		PrivacyProtocol: priv, PrivacyPassphrase: l.PrivPassword}
	return nil
}

// Close ends the session.
func (s *Session) Close() error {
	if !s.stop() {
		return nil // it was cut
	}
	return s.client.Close()
}
