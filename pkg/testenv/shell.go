package testenv

import (
	"os/exec"
	"testing"
)

// Shell runs a bash script with arguments; its failure is the test's.
func Shell(t testing.TB, script string, args ...string) string {
	t.Helper()
	out, err := exec.Command(Program(t, "bash"), append([]string{"-c", script, "test"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}
