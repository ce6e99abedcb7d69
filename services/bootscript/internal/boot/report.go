package boot

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/pkg/wire"
	bootscriptv1 "github.com/luna-hpc/luna/proto/bootscript/v1"
	"github.com/oklog/ulid/v2"
)

// MaxReport is the largest report that is read, in bytes.
const MaxReport = 256 << 10

const (
	maxText   = 4 << 10
	maxOutput = 64 << 10
	maxValues = 64
)

var stepName = regexp.MustCompile(`^[a-z]+\.[a-z0-9_]{1,48}$`)

// ParseReport reads what a node says of a step. Long texts are cut.
func ParseReport(data []byte) (*bootscriptv1.Report, error) {
	if len(data) > MaxReport {
		return nil, fault.Invalidf("the report has more than %d bytes", MaxReport)
	}
	var r bootscriptv1.Report
	if err := wire.Event(data, &r); err != nil {
		return nil, fault.Invalidf("the report is not JSON as expected: %w", err)
	}
	if err := checkReport(&r); err != nil {
		return nil, err
	}
	r.Error, r.Tried = head(r.Error, maxText), head(r.Tried, maxText)
	r.Output = tail(r.Output, maxOutput)
	return &r, nil
}

func checkReport(r *bootscriptv1.Report) error {
	if err := checkName(r.Name); err != nil {
		return err
	}
	switch r.State {
	case bootscriptv1.State_STATE_STARTED, bootscriptv1.State_STATE_OK, bootscriptv1.State_STATE_FAILED:
	default:
		return fault.Invalidf("the report of step %s says neither started nor ok nor failed", r.Name)
	}
	if r.BootId != "" {
		if _, err := ulid.ParseStrict(r.BootId); err != nil || strings.ToUpper(r.BootId) != r.BootId {
			return fault.Invalidf("%q is no boot id", head(r.BootId, 40))
		}
	}
	if len(r.Id) > 64 || len(r.Time) > 64 || len(r.Values) > maxValues {
		return fault.Invalidf("the report of step %s is too big", r.Name)
	}
	for k, v := range r.Values {
		if len(k) > maxText || len(v) > maxText {
			return fault.Invalidf("a value in the report of step %s is too long", r.Name)
		}
	}
	return nil
}

// checkName refuses what is no step of a node: boot.* is what the head says.
func checkName(name string) error {
	if !stepName.MatchString(name) {
		return fault.Invalidf("%q is no name of a step", head(name, 60))
	}
	if strings.HasPrefix(name, "boot.") {
		return fault.Invalidf("step %s is for the head to report", name)
	}
	return nil
}

// Status makes a report of the original's status=NAME, which says only that a
// step was reached.
func Status(name string) (*bootscriptv1.Report, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	return &bootscriptv1.Report{Name: name, State: bootscriptv1.State_STATE_OK}, nil
}

// head returns the first n bytes of s, whole characters.
func head(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// tail returns the last n bytes of s, whole characters.
func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return fmt.Sprintf("(%d bytes before this are left out)\n%s", len(s)-n, strings.ToValidUTF8(s[len(s)-n:], ""))
}
