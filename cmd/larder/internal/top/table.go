package top

import (
	"cmp"
	"slices"
	"strings"
)

// column is a column of a table. The first one takes the width that the others leave.
type column struct {
	title string
	width int
	left  bool // aligned to the left
	rank  int  // columns of the highest rank go first where there is no room; rank 0 stays
}

// cell is text that is safe to show, and what it is sorted by: a figure, else the text.
type cell struct {
	text    string
	n       Num
	numeric bool
}

func figure(n Num, show func(Num) string) cell { return cell{show(n), n, true} }
func words(s string) cell                      { return cell{text: safe(s)} }

// row is a line of a table. of is what it shows.
type row struct {
	cells []cell
	of    any
}

// table is what a view shows, and how the user wants it.
type table struct {
	columns []column
	rows    []row

	sort     int // column
	up       bool
	filter   string
	cursor   int
	first    int // row shown at the top
	pageRows int
}

// load replaces the rows: those that the filter wants, in order.
func (t *table) load(columns []column, rows []row) {
	t.columns = columns
	t.rows = rows[:0:0]
	want := strings.ToLower(t.filter)
	for _, r := range rows {
		if want == "" || strings.Contains(strings.ToLower(r.cells[0].text), want) {
			t.rows = append(t.rows, r)
		}
	}
	t.sort = min(t.sort, len(columns)-1)
	slices.SortStableFunc(t.rows, func(a, b row) int { return t.compare(a.cells[t.sort], b.cells[t.sort]) })
	t.move(0)
}

// compare puts what is unknown last, whatever the direction.
func (t *table) compare(a, b cell) int {
	var c int
	switch {
	case !a.numeric:
		c = cmp.Compare(a.text, b.text)
	case a.n.OK != b.n.OK && a.n.OK:
		return -1
	case a.n.OK != b.n.OK:
		return 1
	default:
		c = cmp.Compare(a.n.V, b.n.V)
	}
	if !t.up {
		c = -c
	}
	return c
}

// by moves the sort to another column: figures begin with the highest, texts with the first.
func (t *table) by(column int) {
	if len(t.columns) == 0 {
		return
	}
	t.sort = (column + len(t.columns)) % len(t.columns)
	t.up = len(t.rows) > 0 && !t.rows[0].cells[t.sort].numeric
}

func (t *table) move(by int) {
	t.cursor = max(min(t.cursor+by, len(t.rows)-1), 0)
}

// current is what the row under the cursor shows, nil if there is none.
func (t *table) current() any {
	if t.cursor >= len(t.rows) {
		return nil
	}
	return t.rows[t.cursor].of
}

// lines draws the table in width by height cells.
func (t *table) lines(width, height int, ink ink) []string {
	if height <= 0 {
		return nil
	}
	shown := t.shown(width)
	out := []string{ink.bold(fit(t.header(shown, width), width, false))}
	t.pageRows = max(height-1, 1)
	t.first = max(min(t.first, t.cursor), t.cursor-t.pageRows+1, 0)
	t.first = max(min(t.first, len(t.rows)-t.pageRows), 0)
	for i := t.first; i < len(t.rows) && i < t.first+height-1; i++ {
		line := t.line(shown, width, func(c int) string { return t.rows[i].cells[c].text })
		if i == t.cursor {
			line = ink.selected(line)
		}
		out = append(out, line)
	}
	return out
}

// narrowest is the least width of the first column before others give way.
const narrowest = 18

// shown are the columns that there is room for.
func (t *table) shown(width int) []int {
	var cols []int
	used := narrowest
	for i, c := range t.columns {
		cols = append(cols, i)
		if i > 0 {
			used += c.width + 1
		}
	}
	for used > width-1 {
		worst := 0
		for k, i := range cols {
			if t.columns[i].rank > 0 && (worst == 0 || t.columns[i].rank >= t.columns[cols[worst]].rank) {
				worst = k
			}
		}
		if worst == 0 {
			break
		}
		used -= t.columns[cols[worst]].width + 1
		cols = slices.Delete(cols, worst, worst+1)
	}
	return cols
}

func (t *table) header(shown []int, width int) string {
	return t.line(shown, width, func(c int) string {
		title := t.columns[c].title
		if c == t.sort && t.up {
			return title + "^"
		} else if c == t.sort {
			return title + "v"
		}
		return title
	})
}

func (t *table) line(shown []int, width int, text func(column int) string) string {
	rest := width - 1
	for _, i := range shown[1:] {
		rest -= t.columns[i].width + 1
	}
	var b strings.Builder
	b.WriteByte(' ')
	for k, i := range shown {
		if k == 0 {
			b.WriteString(fit(text(i), rest, false))
			continue
		}
		b.WriteByte(' ')
		b.WriteString(fit(text(i), t.columns[i].width, !t.columns[i].left))
	}
	return fit(b.String(), width, false)
}
