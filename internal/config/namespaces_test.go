package config

import (
	"reflect"
	"strings"
	"testing"
)

func TestNamespaces(t *testing.T) {
	for _, tc := range []struct {
		in, text string
		want     Namespaces
	}{
		{"off", "off", Namespaces{}},
		{"OFF", "off", Namespaces{}},
		{"depth 1", "depth 1", Namespaces{Depth: 1, Separator: ':'}},
		{"Depth 3  /", "depth 3 /", Namespaces{Depth: 3, Separator: '/'}},
		{"patterns user:* a?c", "patterns user:* a?c", Namespaces{Patterns: []string{"user:*", "a?c"}}},
	} {
		c := New()
		if err := c.Set(Program, Pair{"namespaces", tc.in}); err != nil {
			t.Errorf("%q: %v", tc.in, err)
			continue
		}
		if text, _ := c.Value("namespaces"); text != tc.text || !reflect.DeepEqual(c.Settings().Namespaces, tc.want) {
			t.Errorf("%q: %q, %+v", tc.in, text, c.Settings().Namespaces)
		}
	}
	for _, in := range []string{"", "on", "depth", "depth 0", "depth 9", "depth x", "depth 1 ::", "depth 1 : :", "depth 1 \x00", "off off", "patterns",
		"patterns" + strings.Repeat(" p", mostPatterns+1)} {
		if err := New().Set(Program, Pair{"namespaces", in}); err == nil {
			t.Errorf("%q was taken", in)
		}
	}
}

// TestNamespacesInAFile holds that CONFIG REWRITE writes what can be read again.
func TestNamespacesInAFile(t *testing.T) {
	for _, in := range []string{"off", "depth 2", "depth 1 /", `depth 1 "`, "depth 1 #", `patterns "a* 'b* c\d \x00*`} {
		c := New()
		if err := c.Set(Program, Pair{"namespaces", in}); err != nil {
			t.Fatal(err)
		}
		want, _ := c.Value("namespaces")
		row := c.rows[c.index["namespaces"].row]
		again := New()
		lines := row.fileLines(c.current.Load().values[c.index["namespaces"].row])
		if err := again.LoadArgs([]string{"-"}, strings.NewReader(strings.Join(lines, "\n"))); err != nil {
			t.Errorf("%q: %v", in, err)
		}
		if got, _ := again.Value("namespaces"); got != want {
			t.Errorf("%q is %q after reading it again", want, got)
		}
	}
}
