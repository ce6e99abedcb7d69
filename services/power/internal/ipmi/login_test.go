package ipmi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/bougou/go-ipmi/pkg/client"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/services/power/internal/controller"
)

func rmcp(c types.RmcpStatusCode) error { return fmt.Errorf("rakp: %w", types.NewRmcpStatusError(c)) }

func TestWhyThereIsNoSession(t *testing.T) {
	c := controller.Controller{Address: netip.MustParseAddr("127.0.0.1"), User: "ladmin", Password: "s3cret", Setup: "base"}
	refused := "refuses user ladmin with this password: luna bmcsetup change base"
	for want, errs := range map[string][]error{
		refused:                    {client.ErrRAKPAuthentication, rmcp(types.RmcpStatusCodeUnauthorizedName), rmcp(types.RmcpStatusCodeInvalidIntegrityCheckValue)},
		"base is no administrator": {rmcp(types.RmcpStatusCodeUnauthorizedRoleOfPriLevel), types.NewResponseError(types.CodeInsufficientPrivilege, "")},
		"neither cipher suite":     {rmcp(types.RmcpStatusCodeNoCipherSuiteMatch)},
		"does not say why":         {types.ErrUnpackedDataTooShort},
		"opens no session: ":       {rmcp(types.RmcpStatusCodeNoResToCreateSess)},
		"nothing listens for IPMI": {&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNREFUSED)}},
		"does not answer":          {context.DeadlineExceeded, &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}},
		"refuses a session: IPMI completion code Node busy (0xc0)": {types.NewResponseError(0xc0, "")},
	} {
		for _, err := range errs {
			got := loginError(c, err)
			if k := fault.KindOf(got); !strings.Contains(got.Error(), want) || k != fault.Conflict && k != fault.Unavailable {
				t.Errorf("%v: %v (%v), want %s", err, got, k, want)
			}
		}
	}
}

func TestOnlyWhatCameOutOfStepIsTriedAgain(t *testing.T) {
	for err, want := range map[error]bool{
		errors.New("unexpected packet"):                                                        true,
		client.ErrRAKPAuthentication:                                                           false,
		rmcp(types.RmcpStatusCodeUnauthorizedName):                                             false,
		types.NewResponseError(0xc0, ""):                                                       false,
		&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}:                                  false,
		&net.OpError{Op: "read", Err: syscall.ECONNREFUSED}:                                    false,
		fmt.Errorf("wait: %w", types.NewRmcpStatusError(types.RmcpStatusCodeInvalidSessionID)): false,
	} {
		if outOfStep(t.Context(), err) != want {
			t.Errorf("%v: %t", err, !want)
		}
	}
}

func TestARefusalNamesItsCode(t *testing.T) {
	err := refusal(controller.Cycle, types.NewResponseError(types.CodeNotSupported, ""), nil)
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "refuses cycle: ") || !strings.Contains(err.Error(), "0xd5") {
		t.Error(err)
	}
	silent := controller.Unsure(controller.Off, context.DeadlineExceeded)
	if err := refusal(controller.Off, context.DeadlineExceeded, silent); err != silent || !strings.HasPrefix(err.Error(), "outcome unknown") || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
