package sepolicy_test

import (
	"errors"
	"testing"

	"github.com/luna-hpc/luna/pkg/sepolicy"
)

// files is a system: what is in its configuration and in the folder of each policy.
type files struct {
	config string
	lists  map[string][]string
	err    error
}

func (f files) Read(string) ([]byte, error)       { return []byte(f.config), f.err }
func (f files) List(dir string) ([]string, error) { return f.lists[dir], nil }
func policies(dir string, names ...string) map[string][]string {
	return map[string][]string{dir: names}
}

func TestRead(t *testing.T) {
	targeted := policies("etc/selinux/targeted/policy", "policy.33")
	for name, c := range map[string]struct {
		system files
		want   string
	}{
		"Red Hat's":   {files{"# This file controls the state of SELinux on the system.\n# SELINUX= can take one of these three values:\nSELINUX=enforcing\n# SELINUXTYPE= can take:\nSELINUXTYPE=targeted\n", targeted, nil}, "enforcing (targeted)"},
		"permissive":  {files{"SELINUX=permissive\nSELINUXTYPE=default \n", policies("etc/selinux/default/policy", "policy.31", "x"), nil}, "permissive (default)"},
		"big letters": {files{"SELINUX=Enforcing\n", targeted, nil}, "enforcing (targeted)"},
		"disabled":    {files{"SELINUX=disabled\nSELINUXTYPE=targeted\n", targeted, nil}, "off"},
		"no mode":     {files{"SELINUXTYPE=targeted\n", targeted, nil}, "off"},
		"no policy":   {files{"SELINUX=enforcing\n", policies("etc/selinux/targeted/policy"), nil}, "off"},
		"no file":     {files{}, "off"},
		"outside":     {files{"SELINUX=enforcing\nSELINUXTYPE=../../x\n", policies("x/policy", "policy.1"), nil}, "off"},
	} {
		if got, err := sepolicy.Read(c.system); err != nil || got.String() != c.want || got.On() != (c.want != "off") {
			t.Errorf("%s: %s, %v, want %s", name, got, err, c.want)
		}
	}
	if _, err := sepolicy.Read(files{err: errors.New("no disk")}); err == nil {
		t.Error("what cannot be read is off")
	}
	if got := (sepolicy.Policy{Type: "mls"}).Contexts(); got != "etc/selinux/mls/contexts/files/file_contexts" {
		t.Error(got)
	}
}
