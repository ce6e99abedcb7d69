package subject_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const top = "../.."

// sources calls do for every Go file of the three modules that is written by hand.
func sources(t *testing.T, do func(path string, f *ast.File)) {
	t.Helper()
	for _, module := range []string{"proto", "pkg", "services"} {
		err := filepath.WalkDir(filepath.Join(top, module), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, ".pb.go") {
				return err
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
			if err != nil {
				return err
			}
			do(path, f)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestSubjectsStandHereOnly(t *testing.T) {
	literal := regexp.MustCompile(`^["` + "`" + `]luna\.(cmd|evt|job|log)\.`)
	sources(t, func(path string, f *ast.File) {
		if strings.Contains(path, "pkg/subject/") || strings.HasSuffix(path, "_test.go") {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && literal.MatchString(l.Value) {
				t.Errorf("%s: subject %s; use package subject", path, l.Value)
			}
			return true
		})
	})
}

func TestPackagesHaveASentence(t *testing.T) {
	sentence, seen := map[string]bool{}, map[string]bool{}
	sources(t, func(path string, f *ast.File) {
		if strings.HasSuffix(path, "_test.go") || strings.Contains(path, "testdata/") {
			return
		}
		dir := filepath.Dir(path)
		seen[dir] = true
		if f.Doc != nil && (strings.HasPrefix(f.Doc.Text(), "Package ") || strings.HasPrefix(f.Doc.Text(), "Command ")) {
			sentence[dir] = true
		}
	})
	for dir := range seen {
		if !sentence[dir] && !strings.Contains(dir, "/proto/") {
			t.Errorf("%s: no file says what the package is for", dir)
		}
	}
}

func TestDependenciesPointOneWay(t *testing.T) {
	const self = `"github.com/luna-hpc/luna/`
	sources(t, func(path string, f *ast.File) {
		module := strings.Split(strings.TrimPrefix(path, top+"/"), "/")[0]
		for _, i := range f.Imports {
			to, ok := strings.CutPrefix(i.Path.Value, self)
			if !ok {
				continue
			}
			if (module == "pkg" && strings.HasPrefix(to, "services/")) || (module == "proto" && !strings.HasPrefix(to, "proto/")) {
				t.Errorf("%s imports %s", path, i.Path.Value)
			}
		}
	})
}
