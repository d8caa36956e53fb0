package arch

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestMap holds ARCHITECTURE.md to the folders that there are: a reader finds each of them there, and only those.
func TestMap(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for row := range strings.Lines(string(text)) {
		if !strings.HasPrefix(row, "| ") {
			continue
		}
		cells := strings.Split(row, "|")
		if len(cells) != 5 {
			continue // the table of what to put where
		}
		for _, name := range regexp.MustCompile("`[^`]+`").FindAllString(cells[2], -1) {
			named = append(named, alternatives(strings.Trim(name, "`"))...)
		}
	}
	folders := sources(t)
	for folder := range folders {
		if !slices.Contains(named, folder) {
			t.Errorf("ARCHITECTURE.md does not name %s", folder)
		}
	}
	for _, name := range named {
		if info, err := os.Stat(filepath.Join("..", "..", filepath.FromSlash(name))); err != nil || !info.IsDir() {
			t.Errorf("ARCHITECTURE.md names %s, which is no folder", name)
		}
	}
}

// alternatives are the names that a{b,c} stands for.
func alternatives(name string) (all []string) {
	head, rest, braces := strings.Cut(name, "{")
	if !braces {
		return []string{name}
	}
	inner, tail, _ := strings.Cut(rest, "}")
	for one := range strings.SplitSeq(inner, ",") {
		all = append(all, head+one+tail)
	}
	return all
}

// TestExamples: a public package is shown in use by an example that runs.
func TestExamples(t *testing.T) {
	for folder, files := range sources(t) {
		if slices.ContainsFunc([]string{"internal", "cmd"}, func(p string) bool { return folder == p || strings.HasPrefix(folder, p+"/") }) {
			continue
		}
		if folder == "store/storetest" {
			continue // for the tests of stores, which are its examples
		}
		if !slices.ContainsFunc(files, hasExample) {
			t.Errorf("%s: no Example with an Output", folder)
		}
	}
}

func hasExample(f *source) bool {
	return slices.ContainsFunc(f.Decls, func(d ast.Decl) bool {
		fn, ok := d.(*ast.FuncDecl)
		return ok && f.test && strings.HasPrefix(fn.Name.Name, "Example") && slices.ContainsFunc(f.Comments, func(c *ast.CommentGroup) bool {
			return c.Pos() > fn.Pos() && c.End() < fn.End() && strings.Contains(strings.ToLower(c.Text()), "output:")
		})
	})
}
