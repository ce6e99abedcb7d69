package inventoryv1

import "testing"

func TestParseMAC(t *testing.T) {
	for in, want := range map[string]string{
		"52:54:00:AB:00:01": "52:54:00:ab:00:01", "52-54-00-ab-00-01": "52:54:00:ab:00:01",
		"525400ab0001": "52:54:00:ab:00:01", "01:00:5e:00:00:01": "", "": "", "52:54:00": "", "00:00:00:00:00:00": "",
	} {
		got, err := ParseMAC(in)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("ParseMAC(%q) = %q, %v", in, got, err)
		}
	}
}

func TestNamesThatCouldHurtAreRefused(t *testing.T) {
	for _, s := range []string{"", "a b", "a\n", "$(id)", "${net0/mac}", "a;b", "-a", "a-", "A", "node_1", "../x"} {
		if CheckHostName(s) == nil {
			t.Errorf("host name %q was taken", s)
		}
	}
	for _, s := range []string{"", "a b", "a\n", "$(id)", "a/b", "..", ".x"} {
		if CheckName(s) == nil {
			t.Errorf("name %q was taken", s)
		}
	}
	for _, s := range []string{"node001", "n", "a-b"} {
		if err := CheckHostName(s); err != nil {
			t.Error(err)
		}
	}
}
