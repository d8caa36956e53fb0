package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"
)

// A package variable may be a table that is written down once, an error value or a pool. Nothing assigns to one, or to a
// part of one, while the program runs. (Types are not looked at, so a method that changes a variable is not noticed.)
func TestNoMutableGlobals(t *testing.T) {
	for _, files := range sources(t) {
		globals := map[string]bool{}
		specs := map[any]bool{}
		for _, f := range files {
			for _, d := range f.Decls {
				if gen, ok := d.(*ast.GenDecl); ok && gen.Tok == token.VAR && !f.test {
					for _, s := range gen.Specs {
						specs[s] = true
						for _, name := range s.(*ast.ValueSpec).Names {
							globals[name.Name] = true
						}
					}
				}
			}
		}
		for _, f := range files {
			f.assignments(func(id *ast.Ident) {
				// The parser resolves names within a file only: what it leaves open may be another file's.
				if id.Obj == nil && globals[id.Name] || id.Obj != nil && specs[id.Obj.Decl] {
					t.Errorf("%s: assigns to package variable %s", f.at(id), id.Name)
				}
			})
		}
	}
}

// assignments calls fn with the variable at the root of everything that is assigned to or
// counted up or down: x = 1, x.f[i] = 1, x++.
func (f *source) assignments(fn func(id *ast.Ident)) {
	ast.Inspect(f.File, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, e := range n.Lhs {
					root(e, fn)
				}
			}
		case *ast.IncDecStmt:
			root(n.X, fn)
		}
		return true
	})
}

func root(e ast.Expr, fn func(id *ast.Ident)) {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			if x.Name != "_" {
				fn(x)
			}
			return
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return
		}
	}
}

// The check itself must be able to fail.
func TestAssignments(t *testing.T) {
	const text = `package p
var x, y = 1, struct{ z []int }{}
func f() {
	x = 1
	y.z[0]++
	*(&x), w = 2, 3
	x := 4
	x = 5
}`
	file, err := parser.ParseFile(token.NewFileSet(), "p.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	(&source{File: file}).assignments(func(id *ast.Ident) {
		kind := "open"
		if id.Obj != nil {
			kind = "local"
			if spec, ok := id.Obj.Decl.(*ast.ValueSpec); ok && spec == file.Decls[0].(*ast.GenDecl).Specs[0] {
				kind = "global"
			}
		}
		got = append(got, kind+" "+id.Name)
	})
	if want := []string{"global x", "global y", "open w", "local x"}; !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
}
