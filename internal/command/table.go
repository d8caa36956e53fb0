package command

// families are all rows, a family a file.
func families() [][]Command {
	return [][]Command{
		bitmapRows(), hllRows(), geoRows(), sortRows(),
		stringRows(), genericRows(), hashRows(), listRows(), setRows(), zsetRows(), streamRows(), jsonRows(),
		transactionRows(), pubsubRows(), connectionRows(), serverRows(), scriptRows(), waitRows(), replicateRows(), dumpRows(), standaloneRows(), persistRows(),
	}
}

// Table is the command table: every row, found by name. It never changes.
type Table struct {
	rows   []*Command // top level, in the order of the families
	byName map[string]*Command
	all    []*Command // with subcommands: what counters are kept for
	syntax syntaxes
}

// NewTable builds the table.
func NewTable() *Table {
	t := &Table{byName: make(map[string]*Command)}
	for _, rows := range families() {
		for i := range rows {
			r := &rows[i]
			t.rows = append(t.rows, r)
			t.byName[r.Name] = r
			t.add(r, r.Name)
		}
	}
	return t
}

func (t *Table) add(r *Command, full string) {
	r.full, r.index, r.brief = full, len(t.all), r.isBrief()
	r.plain = len(r.Keys) == 1 && r.Keys[0].Flags&NotKey == 0 && r.Keys[0] == KeySpec{Flags: r.Keys[0].Flags, Notes: r.Keys[0].Notes, Begin: 1, Step: 1}
	if _, _, _, movable := r.legacyRange(); movable {
		r.Flags |= MovableKeys
	}
	t.all = append(t.all, r)
	for i := range r.Subs {
		t.add(&r.Subs[i], full+"|"+r.Subs[i].Name)
	}
}

// Find is the row of a name, in any case; nil where there is none. Cost: O(1).
func (t *Table) Find(name []byte) *Command {
	var buf [maxName]byte
	return t.byName[string(lower(buf[:0], name))]
}

// maxName is longer than any command's name: the buffer for folding stays on the stack.
const maxName = 32

// lower appends name in lower case, cut where no command's name goes on.
func lower(dst, name []byte) []byte {
	if len(name) > maxName {
		name = name[:maxName]
	}
	for _, b := range name {
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		dst = append(dst, b)
	}
	return dst
}

// sub is the row of a container's subcommand.
func (r *Command) sub(name []byte) *Command {
	var buf [maxName]byte
	n := string(lower(buf[:0], name))
	for i := range r.Subs {
		if r.Subs[i].Name == n {
			return &r.Subs[i]
		}
	}
	return nil
}

// Visit shows every row, parents before their subcommands.
func (t *Table) Visit(fn func(full string, r *Command)) {
	for _, r := range t.all {
		fn(r.full, r)
	}
}
