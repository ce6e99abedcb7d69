package bench

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTextsFitAJob(t *testing.T) {
	for _, text := range []string{"short", "a\nb", strings.Repeat(`"\`, 300), strings.Repeat("\xff\x00é", 300), strings.Repeat("<ü>\n", 300)} {
		got := fit(text, 100)
		data, err := json.Marshal(got)
		if err != nil || len(data)-2 > 100 || !utf8.ValidString(got) {
			t.Errorf("%q became %q: %d bytes, %v", text, got, len(data)-2, err)
		}
		if len(text) < 10 && got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
	nodes := make([]target, mostNodes)
	if all := len(nodes) * (room(nodes) + frame); all > mostText {
		t.Errorf("%d nodes have %d bytes", len(nodes), all)
	}
}
