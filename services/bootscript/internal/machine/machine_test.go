package machine_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/luna-hpc/luna/services/bootscript/internal/machine"
)

func TestParse(t *testing.T) {
	for hwdata, want := range map[string]machine.Machine{
		"":                                      {},
		"PC-7|52:54:00:00:00:01":                {Asset: "PC-7", MACs: []machine.MAC{"52:54:00:00:00:01"}},
		"|52-54-00-00-00-0A|5254.0000.000b":     {MACs: []machine.MAC{"52:54:00:00:00:0a", "52:54:00:00:00:0b"}},
		"52:54:00:00:00:01":                     {Asset: "52:54:00:00:00:01"},
		"52:54:00:00:00:01|":                    {Asset: "52:54:00:00:00:01"},
		"a|52:54:00:00:00:01|52:54:00:00:00:01": {Asset: "a", MACs: []machine.MAC{"52:54:00:00:00:01"}},
		"a|ff:ff:ff:ff:ff:ff|01:00:5e:00:00:01|00:00:00:00:00:00|x||${net0/mac}": {Asset: "a"},
		"a\x00\n\x1bb|52:54:00:00:00:01:00:02":                                   {Asset: "ab"},
	} {
		got := machine.Parse(hwdata)
		if got.Asset != want.Asset || !slices.Equal(got.MACs, want.MACs) {
			t.Errorf("Parse(%q) = %+v, want %+v", hwdata, got, want)
		}
	}
}

func TestHasIgnoresForm(t *testing.T) {
	m := machine.Parse("|52:54:00:00:00:0a")
	if !m.Has("52-54-00-00-00-0A") || m.Has("") || m.Has("52:54:00:00:00:0b") {
		t.Fatalf("%+v", m)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("PC-7|52:54:00:00:00:01|52:54:00:00:00:02")
	f.Add("|||")
	f.Add("\xff\xfe|52:54:00:00:00:01")
	f.Fuzz(func(t *testing.T, hwdata string) {
		m := machine.Parse(hwdata)
		if len(m.MACs) > 32 || len(m.Asset) > 68 || !utf8.ValidString(m.Asset) {
			t.Fatalf("%+v", m)
		}
		again := machine.Parse(m.HWData())
		if !slices.Equal(again.MACs, m.MACs) {
			t.Fatalf("%v written and read is %v", m.MACs, again.MACs)
		}
		if strings.Trim(m.HWData(), "|:0123456789abcdef") != "" {
			t.Fatalf("unsafe hwdata %q", m.HWData())
		}
	})
}
