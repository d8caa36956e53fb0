package command

import "strings"

func lolwutRow() Command {
	return Command{Name: "lolwut", Arity: -1, Flags: ReadOnly | Fast, Group: "server", Since: "5.0.0",
		Cost: "O(1)", Summary: "Shows a piece of art and the version.", Run: lolwut}
}

// Bounds of the drawing.
const (
	larderJars    = 6 // on a shelf, unless told otherwise
	larderShelves = 3
	larderMost    = 32
)

// lolwut draws a larder: LOLWUT [VERSION n] [jars on a shelf] [shelves]. Which jars, and how full, is random.
func lolwut(c *Ctx) {
	args := c.Args[1:]
	if len(args) > 1 && c.Is(1, "VERSION") {
		if _, err := c.IntArg(2); err != nil {
			c.Fail(err)
			return
		}
		args = args[2:]
	}
	size := [2]int64{larderJars, larderShelves}
	for i := range min(len(args), len(size)) {
		n, err := c.IntArg(len(c.Args) - len(args) + i)
		if err != nil {
			c.Fail(err)
			return
		}
		size[i] = min(max(n, 1), larderMost)
	}
	var b strings.Builder
	for range size[1] {
		c.drawShelf(&b, int(size[0]))
	}
	c.Out.Verbatim("txt", b.String()+"A larder: every jar where you left it.\nRedis ver. "+Version+"\n")
}

// drawShelf draws jars on a board. What is in a jar fills it from below.
func (c *Ctx) drawShelf(b *strings.Builder, jars int) {
	const rows = 4
	const fillings = ".:o*#~"
	full, with := make([]int, jars), make([]byte, jars)
	for i := range jars {
		r := c.Engine.Random()
		full[i], with[i] = int(r%(rows+1)), fillings[r>>32%uint64(len(fillings))]
	}
	b.WriteString(strings.Repeat("  _=====_ ", jars) + "\n")
	for row := rows; row > 0; row-- {
		for i := range jars {
			inside := byte(' ')
			if full[i] >= row {
				inside = with[i]
			}
			b.WriteString(" |" + strings.Repeat(string(inside), 7) + "|")
		}
		b.WriteString("\n")
	}
	b.WriteString(strings.Repeat(" '-------'", jars) + "\n" + strings.Repeat("=", 10*jars+1) + "\n")
}
