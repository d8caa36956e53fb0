package arch

import (
	"cmp"
	"fmt"
	"go/ast"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// The budgets of ARCHITECTURE.md.
const (
	fileLines     = 400 // lines; a tenth of the files may be longer
	fileLinesMost = 800 // lines; none may be longer
	funcLines     = 40  // lines at the 95th percentile
)

func TestFileLength(t *testing.T) {
	files := 0
	var long []*source
	for _, f := range allFiles(t) {
		if f.lines > fileLinesMost {
			t.Errorf("%s has %d lines, more than %d", f.path, f.lines, fileLinesMost)
		}
		if f.test {
			continue
		}
		files++
		if f.lines > fileLines {
			long = append(long, f)
		}
	}
	if len(long)*10 > files {
		t.Errorf("%d of %d files have more than %d lines; a tenth may", len(long), files, fileLines)
		slices.SortFunc(long, func(a, b *source) int { return cmp.Compare(b.lines, a.lines) })
		for _, f := range long {
			t.Logf("%5d %s", f.lines, f.path)
		}
	}
}

func TestFunctionLength(t *testing.T) {
	type function struct {
		where, name string
		lines       int
	}
	var all []function
	for _, f := range allFiles(t) {
		if f.test {
			continue
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
				lines := f.set.Position(fn.End()).Line - f.set.Position(fn.Pos()).Line + 1
				all = append(all, function{f.at(fn), fn.Name.Name, lines})
			}
		}
	}
	slices.SortFunc(all, func(a, b function) int { return cmp.Compare(b.lines, a.lines) })
	allowed := len(all) / 20
	if at := all[allowed].lines; at > funcLines {
		t.Errorf("the 95th percentile of %d functions is %d lines, more than %d; the longest:", len(all), at, funcLines)
		for _, fn := range all[:allowed+1] {
			t.Logf("%5d %s %s", fn.lines, fn.where, fn.name)
		}
	}
}

// Nothing happens because a package was imported.
func TestNoInit(t *testing.T) {
	for _, f := range allFiles(t) {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: init runs because of an import; let the user call what it needs", f.at(fn))
			}
		}
	}
}

// Names that say nothing, and what to do instead: name a package after what it provides.
var emptyNames = []string{"util", "utils", "common", "helper", "helpers", "misc", "base", "shared", "lib"}

// borrowed are names of the standard library that are the right ones here too.
var borrowed = map[string]string{
	"internal/types/hash": "the Redis type",
	"internal/types/list": "the Redis type",
	"metrics":             "what the package exports",
}

func TestPackageNames(t *testing.T) {
	standard := standardNames(t)
	for folder, files := range sources(t) {
		name := strings.TrimSuffix(files[0].Name.Name, "_test")
		if slices.Contains(emptyNames, name) {
			t.Errorf("%s: package %s has a name that says nothing", folder, name)
		}
		if of, taken := standard[name]; taken && name != "main" && borrowed[folder] == "" {
			t.Errorf("%s: package %s has the name of the standard library's %s", folder, name, of)
		}
		if last := path.Base(folder); folder != "." && name != "main" && last != name {
			t.Errorf("%s: package %s is not named after its folder", folder, name)
		}
	}
}

// standardNames maps the last element of each public standard package's path to the path.
func standardNames(t *testing.T) map[string]string {
	t.Helper()
	out, err := exec.Command("go", "list", "std").Output()
	if err != nil {
		t.Fatal("go list std: ", err)
	}
	names := map[string]string{}
	for p := range strings.Lines(string(out)) {
		if p = strings.TrimSpace(p); !strings.Contains("/"+p+"/", "/internal/") && !strings.HasPrefix(p, "vendor/") {
			names[path.Base(p)] = p
		}
	}
	if names["errors"] != "errors" {
		t.Fatalf("go list std gave %d names without errors", len(names))
	}
	return names
}

// polling are the files that look again and again because what they wait for gives no event.
var polling = map[string]string{
	"internal/leaktest/leaktest.go":   "a goroutine that ends",
	"internal/redistest/redistest.go": "another process",
	"store/redisstore/faults_test.go": "another process",
}

func TestNoSleeping(t *testing.T) {
	for _, f := range allFiles(t) {
		if polling[f.path] != "" {
			continue
		}
		f.usesOfTime(func(n ast.Node, name string) {
			if name == "Sleep" {
				t.Errorf("%s: time.Sleep; inject a clock, or wait for the event itself", f.at(n))
			}
		})
	}
}

// timed are the folders to which time comes from internal/clock.
var timed = []string{"internal/engine", "internal/command", "internal/server", "internal/script", "internal/persist", "internal/repl", "internal/types/...", "internal/mem/..."}

func TestTimeIsInjected(t *testing.T) {
	reads := []string{"Now", "Since", "Until", "After", "Tick", "NewTimer", "NewTicker", "AfterFunc"}
	for folder, files := range sources(t) {
		if !slices.ContainsFunc(timed, func(p string) bool { return within(folder, p) }) {
			continue
		}
		for _, f := range files {
			if f.test {
				continue
			}
			f.usesOfTime(func(n ast.Node, name string) {
				if slices.Contains(reads, name) {
					t.Errorf("%s: time.%s; time comes from a clock.Clock here", f.at(n), name)
				}
			})
		}
	}
}

func allFiles(t *testing.T) []*source {
	t.Helper()
	var all []*source
	for _, files := range sources(t) {
		all = append(all, files...)
	}
	slices.SortFunc(all, func(a, b *source) int { return strings.Compare(a.path, b.path) })
	if len(all) < 20 {
		t.Fatal(fmt.Sprint("only ", len(all), " files: the module is not where it should be"))
	}
	return all
}
