package boot_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/luna-hpc/luna/pkg/fault"
	"github.com/luna-hpc/luna/services/bootscript/internal/boot"
)

func TestReportsThatAreRefused(t *testing.T) {
	for _, bad := range []string{
		``, `{`, `[]`, `{}`, `{"name":"install.unpack"}`, `{"name":"install.unpack","state":7}`,
		`{"name":"boot.discovery","state":"STATE_OK"}`, `{"name":"../x","state":"STATE_OK"}`, `{"name":"a.b\n","state":"STATE_OK"}`,
		`{"name":"install.unpack","state":"STATE_OK","boot_id":"x"}`,
		`{"name":"install.unpack","state":"STATE_OK","id":"` + strings.Repeat("x", 65) + `"}`,
		`{"name":"install.unpack","state":"STATE_OK","output":"` + strings.Repeat("x", boot.MaxReport) + `"}`,
		"{\"name\":\"install.unpack\",\"state\":\"STATE_OK\",\"output\":\"\xff\"}",
	} {
		if r, err := boot.ParseReport([]byte(bad)); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%.100q: %v, %v", bad, r, err)
		}
	}
}

func TestLaterFieldsArePassedOverAndLongOutputIsCut(t *testing.T) {
	r, err := boot.ParseReport([]byte(`{"name":"install.unpack","state":"STATE_FAILED","colour":"red","output":"` + strings.Repeat("é", 50000) + `end"}`))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(r.Output, "éend") || !strings.HasPrefix(r.Output, "(34467 bytes before this are left out)\n") {
		t.Fatalf("%.80q", r.Output)
	}
}

func FuzzParseReport(f *testing.F) {
	f.Add([]byte(`{"boot_id":"01JT0000000000000000000000","name":"install.unpack","state":"STATE_OK","seconds":1.5,"values":{"files":"3"}}`))
	f.Add([]byte(`{"name":"agent.start","state":1,"error":"` + strings.Repeat("é", 3000) + `"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := boot.ParseReport(data)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatal(err)
			}
			return
		}
		if len(r.Output) > 70<<10 || len(r.Error) > 5<<10 || !utf8.ValidString(r.Error+r.Output+r.Tried) || strings.HasPrefix(r.Name, "boot.") {
			t.Fatalf("%v", r)
		}
	})
}
