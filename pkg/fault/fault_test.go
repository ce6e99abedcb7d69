package fault_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/luna-hpc/luna/pkg/fault"
)

func TestKindsKeepTheirCodes(t *testing.T) {
	for _, c := range []struct {
		kind       fault.Kind
		code, exit int
	}{
		{fault.Internal, 500, 1}, {fault.Invalid, 400, 2}, {fault.NotFound, 404, 3},
		{fault.Conflict, 409, 4}, {fault.Unavailable, 503, 5},
	} {
		if c.kind.Code() != c.code || c.kind.Exit() != c.exit {
			t.Errorf("%s: code %d, exit %d", c.kind, c.kind.Code(), c.kind.Exit())
		}
		if got := fault.FromCode(c.code); got != c.kind {
			t.Errorf("FromCode(%d) = %s", c.code, got)
		}
	}
}

func TestKindSurvivesWrapping(t *testing.T) {
	err := fmt.Errorf("add node: %w", fault.Conflictf("name %q is taken", "node001"))
	if fault.KindOf(err) != fault.Conflict {
		t.Fatalf("kind is %s", fault.KindOf(err))
	}
}

func TestInternalTextStaysInside(t *testing.T) {
	err := fmt.Errorf("open /secret: %w", io.ErrUnexpectedEOF)
	if got := fault.Public(err); got == err.Error() {
		t.Fatalf("public text is %q", got)
	}
	if !errors.Is(fault.New(fault.Internal, "x: %w", io.EOF), io.EOF) {
		t.Fatal("cause is lost")
	}
}
