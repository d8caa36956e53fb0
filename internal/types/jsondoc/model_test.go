package jsondoc

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/larderdb/larder/internal/mem/arena"
	"github.com/larderdb/larder/internal/mem/table"
)

// entry is a record with a document.
func entry(t testing.TB, text string) *table.Entry {
	t.Helper()
	v, err := Parse(nil, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	tb := table.New(arena.New(), table.Options{Keyspace: true})
	var e table.Entry
	tb.Insert(table.Hash(0, []byte("k")), []byte("k"), len(v), 0, 5, &e)
	copy(e.Value(), v)
	return &e
}

// model is a value as encoding/json has it, but for objects, whose members keep their order.
type model struct {
	kind     byte // of the first byte of the text
	text     string
	names    []string
	elements []*model
}

func randomModel(rng *rand.Rand, depth int) *model {
	switch k := rng.IntN(10); {
	case depth > 0 && k < 3:
		m := &model{kind: '['}
		for range rng.IntN(6) {
			m.elements = append(m.elements, randomModel(rng, depth-1))
		}
		return m
	case depth > 0 && k < 6:
		m := &model{kind: '{'}
		for range rng.IntN(6) {
			m.set(fmt.Sprint("n", rng.IntN(12)), randomModel(rng, depth-1))
		}
		return m
	case k < 8:
		return &model{kind: 's', text: strings.Repeat(string(rune('a'+rng.IntN(26))), []int{0, 3, 70, 300, 70000}[min(4, rng.IntN(40))%5])}
	}
	return &model{kind: 'i', text: fmt.Sprint(int64(rng.Uint64()) >> rng.IntN(64))}
}

func (m *model) set(name string, v *model) {
	for i, n := range m.names {
		if n == name {
			m.elements[i] = v
			return
		}
	}
	m.names, m.elements = append(m.names, name), append(m.elements, v)
}

func (m *model) clone() *model {
	c := &model{kind: m.kind, text: m.text, names: append([]string(nil), m.names...)}
	for _, e := range m.elements {
		c.elements = append(c.elements, e.clone())
	}
	return c
}

func (m *model) String() string {
	var parts []string
	for i, e := range m.elements {
		if m.kind == '{' {
			parts = append(parts, fmt.Sprintf("%q:%s", m.names[i], e))
		} else {
			parts = append(parts, e.String())
		}
	}
	switch m.kind {
	case '[':
		return "[" + strings.Join(parts, ",") + "]"
	case '{':
		return "{" + strings.Join(parts, ",") + "}"
	case 's':
		return fmt.Sprintf("%q", m.text)
	}
	return m.text
}

// place is a node of the model with the path to it.
type place struct {
	path   string
	m      *model
	parent *model
	index  int
}

func (m *model) places(path string, parent *model, index int, out []place) []place {
	out = append(out, place{path, m, parent, index})
	for i, e := range m.elements {
		step := fmt.Sprintf("[%d]", i)
		if m.kind == '{' {
			step = fmt.Sprintf("[%q]", m.names[i])
		}
		out = e.places(path+step, m, i, out)
	}
	return out
}

// TestModel makes random changes, of one value or of many at once, and compares the document with a model and with what
// encoding/json makes of its text.
func TestModel(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for round := range 40 {
		m := randomModel(rng, 5)
		e := entry(t, m.String())
		for step := range 40 {
			if len(e.Value()) > 300<<10 {
				break
			}
			m = randomChange(t, rng, e, m)
			if err := Check(e); err != nil {
				t.Fatalf("seed %d, round %d, step %d: %v", seed, round, step, err)
			}
			got := string(Root(e.Value()).AppendText(nil))
			if want := m.String(); got != want {
				at := 0
				for at < min(len(got), len(want)) && got[at] == want[at] {
					at++
				}
				t.Fatalf("seed %d, round %d, step %d, byte %d:\n%.200s\nwant\n%.200s", seed, round, step, at, got[at:], want[at:])
			}
			if !json.Valid([]byte(got)) {
				t.Fatalf("seed %d: encoding/json does not take %.2000s", seed, got)
			}
		}
	}
}

func randomChange(t *testing.T, rng *rand.Rand, e *table.Entry, m *model) *model {
	places := m.places("$", nil, 0, nil)
	p := places[rng.IntN(len(places))]
	root := Root(e.Value())
	found := find(t, p.path, root)
	if len(found) != 1 || string(found[0].AppendText(nil)) != p.m.String() {
		t.Fatalf("%s leads to %d values, want %s", p.path, len(found), p.m)
	}
	v := randomModel(rng, 2)
	value := parsed(t, v.String())
	var change func(i int, n Node) (Change, error)
	switch k := rng.IntN(6); {
	case k == 0 && p.parent != nil:
		change = func(int, Node) (Change, error) { return Drop(), nil }
		p.parent.elements = append(p.parent.elements[:p.index:p.index], p.parent.elements[p.index+1:]...)
		if p.parent.kind == '{' {
			p.parent.names = append(p.parent.names[:p.index:p.index], p.parent.names[p.index+1:]...)
		}
	case k == 1 && p.m.kind == '[':
		at := rng.IntN(len(p.m.elements) + 1)
		change = func(_ int, n Node) (Change, error) { return Insert(n, at, 1, value), nil }
		p.m.elements = append(p.m.elements[:at:at], append([]*model{v}, p.m.elements[at:]...)...)
	case k == 2 && p.m.kind == '[':
		from := rng.IntN(len(p.m.elements) + 1)
		n := rng.IntN(len(p.m.elements) - from + 1)
		change = func(_ int, node Node) (Change, error) { return Remove(node, from, n), nil }
		p.m.elements = append(p.m.elements[:from:from], p.m.elements[from+n:]...)
	case k == 3 && p.m.kind == '{':
		name := fmt.Sprint("new", len(p.m.names), rng.IntN(1000))
		change = func(_ int, n Node) (Change, error) { return AddMember(n, []byte(name), value), nil }
		p.m.set(name, v)
	case k == 4:
		return changeMany(t, rng, e, m, places, value, v)
	default:
		change = func(int, Node) (Change, error) { return Replace(value), nil }
		*p.m = *v
	}
	if err := Apply(e, found, change); err != nil {
		t.Fatal(err)
	}
	return m
}

// changeMany appends to all arrays, within each other too, and replaces all integers.
func changeMany(t *testing.T, rng *rand.Rand, e *table.Entry, m *model, places []place, value Value, v *model) *model {
	var found []Node
	for _, n := range find(t, "$..*", Root(e.Value())) {
		if n.Type() == Array || n.Type() == Int {
			found = append(found, n)
		}
	}
	rng.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
	if len(found) == 0 {
		return m
	}
	err := Apply(e, found, func(_ int, n Node) (Change, error) {
		if n.Type() == Array {
			return Insert(n, n.Len(), 1, value), nil
		}
		return Replace(IntValue(n.Int() / 2)), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range places[1:] { // from the outermost in, so that what is appended is not changed
		switch p.m.kind {
		case '[':
			p.m.elements = append(p.m.elements, v.clone())
		case 'i':
			var n int64
			fmt.Sscan(p.m.text, &n)
			p.m.text = fmt.Sprint(n / 2)
		}
	}
	return m
}

func find(t testing.TB, path string, root Node) []Node {
	t.Helper()
	p, err := Compile([]byte(path))
	if err != nil {
		t.Fatal(err)
	}
	found, err := p.Find(nil, root)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func parsed(t testing.TB, text string) Value {
	t.Helper()
	b, err := Parse(nil, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return Encoded(b)
}

// changedBefore is the order of LastChanged by its definition: one path against the other.
func changedBefore(root, a, b Node) bool {
	x, y := append(root.trail(nil, a.at), a.at), append(root.trail(nil, b.at), b.at)
	for i := 1; i < min(len(x), len(y)); i++ {
		if x[i] == y[i] {
			continue
		}
		parent := Node{root.b, x[i-1]}
		if parent.Type() != Object {
			return x[i] > y[i]
		}
		var p, q string
		parent.Members(func(s []byte, v Node) bool {
			if v.at == x[i] {
				p = string(s)
			} else if v.at == y[i] {
				q = string(s)
			}
			return true
		})
		return p < q
	}
	return len(x) > len(y)
}

func TestLastChanged(t *testing.T) {
	rng := rand.New(rand.NewPCG(rand.Uint64(), 0))
	all, err := Compile([]byte("$..*"))
	if err != nil {
		t.Fatal(err)
	}
	for range 300 {
		doc, err := Parse(nil, []byte(randomModel(rng, 5).String()))
		if err != nil {
			t.Fatal(err)
		}
		found, err := all.Find(nil, Root(doc))
		if err != nil {
			t.Fatal(err)
		}
		rng.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
		if found = found[:rng.IntN(len(found)+1)]; len(found) == 0 {
			continue
		}
		found = append(found, found[0])
		want := 0
		for i := range found {
			if changedBefore(Root(doc), found[want], found[i]) {
				want = i
			}
		}
		if got := LastChanged(Root(doc), found); got != want {
			t.Fatalf("%d, want %d, of %d values of %s", got, want, len(found), Root(doc).AppendText(nil))
		}
	}
}

// TestManyAtOnce does in time what was quadratic: half a million of arrays, and objects of many members.
func TestManyAtOnce(t *testing.T) {
	arrays, err := Parse(nil, []byte("["+strings.Repeat("[1],", 500_000)+"[1]]"))
	if err != nil {
		t.Fatal(err)
	}
	var found []Node
	Root(arrays).Elements(func(_ int, v Node) bool { found = append(found, v); return true })
	if got := LastChanged(Root(arrays), found); got != 0 {
		t.Error(got)
	}
	object := func(from, to int, value string) []byte {
		var b strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, `,"name %d":%s`, i, value)
		}
		doc, err := Parse(nil, []byte("{"+b.String()[1:]+"}"))
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	const n = 200_000
	merged, err := Merged(Root(object(0, n, "1")), Root(object(n/2, 2*n, "2")))
	if err != nil {
		t.Fatal(err)
	}
	if got := Root(merged.Bytes); got.Len() != 2*n {
		t.Error(got.Len())
	} else if v, _, _ := got.Member([]byte(fmt.Sprint("name ", n))); v.Int() != 2 {
		t.Error(v.Int())
	}
}
