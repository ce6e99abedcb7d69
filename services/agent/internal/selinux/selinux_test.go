package selinux

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/luna-hpc/luna/pkg/sepolicy"
	"github.com/luna-hpc/luna/pkg/testenv"
)

// system is an installed system whose programs only note that they are run.
type system struct {
	*System
	t *testing.T
	// ran are the lines of programs, with "mount" and "unmount" about them.
	ran  []string
	fail map[string]error
}

func newSystem(t *testing.T, config string) *system {
	t.Helper()
	s := &system{t: t, fail: map[string]error{}}
	s.System = &System{
		Root: t.TempDir(), Kernel: func() bool { return true }, Attach: s.attach, Run: s.run,
		InMemory:   func(string) (bool, error) { return true, nil },
		Unlabelled: func(context.Context, string) ([]string, error) { return nil, nil },
	}
	s.file("etc/selinux/config", config)
	s.file("etc/selinux/targeted/policy/policy.33", "policy")
	s.file("usr/sbin/load_policy", "")
	s.file("usr/sbin/setfiles", "")
	return s
}

func (s *system) file(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.Root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) attach(string) (func() error, error) {
	s.ran = append(s.ran, "mount")
	return func() error { s.ran = append(s.ran, "unmount"); return nil }, nil
}

func (s *system) run(_ context.Context, root, in, name string, args ...string) (string, error) {
	if root != s.Root {
		s.t.Errorf("%s in %s", name, root)
	}
	s.ran = append(s.ran, strings.TrimSuffix(strings.Join(append([]string{name}, args...), " ")+" < "+strings.ReplaceAll(in, "\x00", ","), " < "))
	return "first\nlast words\n", s.fail[filepath.Base(name)]
}

const enforcing = "SELINUX=enforcing\nSELINUXTYPE=targeted\n"

func TestPolicy(t *testing.T) {
	s := newSystem(t, enforcing)
	if p, err := s.Policy(); p.String() != "enforcing (targeted)" || err != nil {
		t.Errorf("%s, %v", p, err)
	}
	s.Kernel = func() bool { return false }
	if p, err := s.Policy(); p.On() || err != nil {
		t.Errorf("with a kernel without: %s, %v", p, err)
	}
	if p, err := newSystem(t, "SELINUX=disabled\n").Policy(); p.On() || err != nil {
		t.Errorf("disabled: %s, %v", p, err)
	}
}

func TestLabel(t *testing.T) {
	const (
		load  = "/usr/sbin/load_policy -i"
		files = "/usr/sbin/setfiles -F -e /proc -e /sys -e /dev -e /run"
		rules = "/etc/selinux/targeted/contexts/files/file_contexts"
	)
	for name, c := range map[string]struct {
		memory bool
		bare   []string
		ran    []string
		want   Result
	}{
		"tmpfs":             {true, nil, []string{"mount", load, files + " " + rules + " /", "unmount"}, Result{Whole: true}},
		"disk":              {false, []string{"/etc/hostname", "/etc/a b"}, []string{"mount", load, files + " -0 -f - " + rules + " < /etc/hostname,/etc/a b,", "unmount"}, Result{Files: 2}},
		"disk, all labels":  {false, nil, []string{"mount", load, "unmount"}, Result{}},
		"disk, none at all": {false, []string{"/", "/etc"}, []string{"mount", load, files + " " + rules + " /", "unmount"}, Result{Whole: true}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t, enforcing)
			s.InMemory = func(string) (bool, error) { return c.memory, nil }
			s.Unlabelled = func(context.Context, string) ([]string, error) { return c.bare, nil }
			policy := sepolicy.Policy{Type: "targeted", Enforcing: true}
			got, err := s.Label(t.Context(), policy)
			if err != nil {
				t.Fatal(err)
			}
			c.want.Policy = policy
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.ran, s.ran); diff != "" {
				t.Errorf("ran (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLabelFails(t *testing.T) {
	policy := sepolicy.Policy{Type: "targeted"}
	for name, c := range map[string]struct {
		spoil func(*system)
		want  string
		mount bool
	}{
		"no setfiles": {func(s *system) { s.remove("usr/sbin/setfiles") }, "it has no setfiles: install policycoreutils", false},
		"no labels":   {func(s *system) { s.fail["setfiles"] = errors.New("setfiles: exit status 255") }, "label the files: setfiles: exit status 255: last words", true},
		"no policy":   {func(s *system) { s.fail["load_policy"] = errors.New("load_policy: exit status 3") }, "load the SELinux policy: load_policy: exit status 3: last words", true},
	} {
		s := newSystem(t, enforcing)
		c.spoil(s)
		_, err := s.Label(t.Context(), policy)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
		if c.mount != slices.Contains(s.ran, "unmount") || c.mount != slices.Contains(s.ran, "mount") {
			t.Errorf("%s: ran %q", name, s.ran)
		}
	}
}

func (s *system) remove(name string) {
	s.t.Helper()
	if err := os.Remove(filepath.Join(s.Root, name)); err != nil {
		s.t.Fatal(err)
	}
}

// TestUnlabelled sets labels on a file system of this machine, which without a policy keeps any.
func TestUnlabelled(t *testing.T) {
	testenv.Root(t)
	root := t.TempDir()
	for _, name := range []string{"etc/old", "etc/new", "proc/1/stat", "dev/null", "srv/link"} {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(root, "srv/dangling")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "etc", "etc/old", "srv", "srv/link", "proc"} {
		if err := unix.Lsetxattr(filepath.Join(root, name), label, []byte("system_u:object_r:etc_t:s0\x00"), 0); err != nil {
			testenv.Lacks(t, "labels cannot be set here: ", err)
		}
	}
	got, err := unlabelled(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/dev", "/etc/new", "/srv/dangling"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestChrootRunsTheSystemsPrograms(t *testing.T) {
	testenv.Root(t)
	said, err := chroot(t.Context(), "/", "hello", "/bin/sh", "-c", "cat; echo; pwd; exit 3")
	if err == nil || err.Error() != "sh: exit status 3" || said != "hello\n/\n" {
		t.Errorf("said %q, %v", said, err)
	}
}
