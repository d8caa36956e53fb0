package arch

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/larderdb/larder"

// source is a parsed Go file of this module, whatever its build tags.
type source struct {
	path  string // from the module's root, with slashes
	test  bool   // *_test.go
	lines int
	set   *token.FileSet
	*ast.File
}

// sources parses the module once, by folder. Modules within it, testdata and hidden folders are left out.
func sources(t *testing.T) map[string][]*source {
	t.Helper()
	all, err := parseModule()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var parseModule = sync.OnceValues(func() (map[string][]*source, error) {
	root := filepath.Join("..", "..")
	all := map[string][]*source{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return enter(root, name, d.Name())
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := parse(root, name)
		if err == nil {
			folder := path.Dir(f.path)
			all[folder] = append(all[folder], f)
		}
		return err
	})
	return all, err
})

func enter(root, name, base string) error {
	if name == root {
		return nil
	}
	_, err := os.Stat(filepath.Join(name, "go.mod"))
	if err == nil || base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	return nil
}

func parse(root, name string) (*source, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	rel, err := filepath.Rel(root, name)
	if err != nil {
		return nil, err
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, filepath.ToSlash(rel), text, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	return &source{filepath.ToSlash(rel), strings.HasSuffix(name, "_test.go"), bytes.Count(text, []byte{'\n'}), set, file}, nil
}

func (f *source) imports() []string {
	var paths []string
	for _, spec := range f.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		paths = append(paths, p)
	}
	return paths
}

// at is a position as an editor takes it.
func (f *source) at(n ast.Node) string { return f.set.Position(n.Pos()).String() }

// isStandard reports whether an import path is of the standard library: those have no dot in their first element.
func isStandard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

// uses calls fn for each mention of a function of package time, such as time.Now, with its name.
func (f *source) usesOfTime(fn func(n ast.Node, name string)) {
	local := ""
	for _, spec := range f.Imports {
		if spec.Path.Value == `"time"` {
			local = "time"
			if spec.Name != nil {
				local = spec.Name.Name
			}
		}
	}
	if local == "" {
		return
	}
	ast.Inspect(f.File, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == local {
				fn(sel, sel.Sel.Name)
			}
		}
		return true
	})
}
