package ipmi

import (
	"context"
	"errors"
	"net"

	"github.com/bougou/go-ipmi/pkg/client"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/services/power/internal/controller"
)

// suites are the cipher suites that are offered, the better one first: SHA-256
// and SHA-1, both with AES (22.15.2). A wrong password is tried with one of
// them only, since controllers lock users out.
var suites = []types.CipherSuiteID{types.CipherSuiteID17, types.CipherSuiteID3}

// tries is how often a session is begun whose packets came out of step.
const tries = 2

// login opens a session as administrator. The library's Connect would try each
// suite with a wrong password and does not tell it from silence.
func (s Speaker) login(ctx context.Context, c controller.Controller) (*client.Client, error) {
	var err error
	for range tries {
		for _, suite := range suites {
			var cl *client.Client
			cl, err = client.NewClient(c.Address.String(), s.Port, c.User, c.Password.Reveal())
			if err != nil {
				return nil, fault.Invalidf("not done: the name of the user is longer than 16 characters: luna bmcsetup change %s --user USER", c.Setup)
			}
			cl.WithTimeout(wait).WithRetry(retries).WithCipherSuiteID(suite).WithMaxPrivilegeLevel(types.PrivilegeLevelAdministrator)
			if err = handshake(ctx, cl); err == nil {
				return cl, nil
			}
			abandon(ctx, cl)
			if !unsuited(err) {
				break
			}
		}
		if !outOfStep(ctx, err) {
			break
		}
	}
	return nil, loginError(c, err)
}

// handshake is RMCP+ session activation (13.15).
func handshake(ctx context.Context, cl *client.Client) error {
	if _, err := cl.OpenSession(ctx); err != nil {
		return err
	}
	if _, err := cl.RAKPMessage1(ctx); err != nil {
		return err
	}
	if _, err := cl.RAKPMessage3(ctx); err != nil {
		return err
	}
	_, err := cl.SetSessionPrivilegeLevel(ctx, types.PrivilegeLevelAdministrator)
	return err
}

func status(err error) types.RmcpStatusCode {
	var s *types.RmcpStatusError
	if errors.As(err, &s) {
		return s.StatusCode()
	}
	return types.RmcpStatusCodeNoErrors
}

// brief says whether a refusal is cut off before the status, as OpenIPMI's is.
func brief(err error) bool { return errors.Is(err, types.ErrUnpackedDataTooShort) }

// unsuited says whether a controller does not know the cipher suite, or may not.
func unsuited(err error) bool {
	if brief(err) {
		return true
	}
	switch status(err) {
	case types.RmcpStatusCodeInvalidAuthAlg, types.RmcpStatusCodeInvalidIntegrityAlg, types.RmcpStatusCodeInvalidConfidentAlg,
		types.RmcpStatusCodeNoMatchingAuthPayload, types.RmcpStatusCodeNoMatchingIntegrityPayload, types.RmcpStatusCodeNoCipherSuiteMatch:
		return true
	}
	return false
}

// outOfStep says whether an answer was of an earlier packet that was sent again.
func outOfStep(ctx context.Context, err error) bool {
	_, refused := types.IsResponseError(err)
	var silent net.Error
	return ctx.Err() == nil && !refused && status(err) == types.RmcpStatusCodeNoErrors &&
		!errors.Is(err, client.ErrRAKPAuthentication) && !errors.As(err, &silent)
}

// loginError says why there is no session.
func loginError(c controller.Controller, err error) error {
	code := status(err)
	r, answered := types.IsResponseError(err)
	switch {
	case errors.Is(err, client.ErrRAKPAuthentication), code == types.RmcpStatusCodeUnauthorizedName, code == types.RmcpStatusCodeInvalidIntegrityCheckValue:
		return c.Refused()
	case code == types.RmcpStatusCodeUnauthorizedRoleOfPriLevel, code == types.RmcpStatusCodeInvalidRole, answered && r.CompletionCode() == types.CodeInsufficientPrivilege:
		return fault.Conflictf("not done: user %s of BMC set-up %s is no administrator of the controller", c.User, c.Setup)
	case brief(err):
		return fault.Unavailablef("not done: the controller opens no session and does not say why")
	case unsuited(err):
		return fault.Conflictf("not done: the controller has neither cipher suite 17 nor 3")
	case code != types.RmcpStatusCodeNoErrors:
		return fault.Unavailablef("not done: the controller opens no session: %s", code)
	case answered:
		return refusal("a session", err, nil)
	case refusedPort(err):
		return fault.Unavailablef("not done: nothing listens for IPMI at the controller's address")
	}
	return controller.Silent(err)
}
