package agent

import (
	"os"
	"path/filepath"
	"testing"
)

// TestProgramLeavesNoFolderButItsNeighbours has the agent removed from a folder of its own, and from among others.
func TestProgramLeavesNoFolderButItsNeighbours(t *testing.T) {
	for _, others := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "bin")
		self, other := filepath.Join(dir, "luna-agent"), filepath.Join(dir, "other")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{self, other} {
			if err := os.WriteFile(file, nil, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if !others {
			if err := os.Remove(other); err != nil {
				t.Fatal(err)
			}
		}
		if err := removeProgram(self); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(self); !os.IsNotExist(err) {
			t.Errorf("the program is still there: %v", err)
		}
		if _, err := os.Lstat(dir); os.IsNotExist(err) == others {
			t.Errorf("the folder, with others %v: %v", others, err)
		}
	}
}
