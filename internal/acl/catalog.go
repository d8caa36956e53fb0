package acl

import "strings"

// Command is one command as rules see it.
type Command struct {
	Name       string // lower case; parent|name of a subcommand, after its parent's
	Categories uint64 // bit i: category i of the catalog
}

// Catalog is everything that a rule can name. It never changes.
type Catalog struct {
	categories []string
	commands   []entry // by index, which is the bit of a selector
	byName     map[string]int
}

type entry struct {
	Command
	isSub bool
	subs  []int
}

// NewCatalog takes the categories and the commands; the position of a command is the number that Request.Command means.
func NewCatalog(categories []string, commands []Command) *Catalog {
	c := &Catalog{categories: categories, commands: make([]entry, len(commands)), byName: make(map[string]int, len(commands))}
	for i, cmd := range commands {
		c.commands[i].Command = cmd
		c.byName[cmd.Name] = i
		if parent, _, sub := strings.Cut(cmd.Name, "|"); sub {
			p := c.byName[parent]
			c.commands[i].isSub = true
			c.commands[p].subs = append(c.commands[p].subs, i)
		}
	}
	return c
}

// Categories are the names of all categories.
func (c *Catalog) Categories() []string { return c.categories }

// Category finds the bit of a category by its name, in any case; 0 where there is none.
func (c *Catalog) Category(name string) uint64 {
	name = lower(name)
	for i, n := range c.categories {
		if n == name {
			return 1 << i
		}
	}
	return 0
}

// In visits the full names of a category's commands.
func (c *Catalog) In(category uint64, fn func(name string)) {
	for i := range c.commands {
		if c.commands[i].Categories&category != 0 {
			fn(c.commands[i].Name)
		}
	}
}

// find is the index of a command's full name in lower case.
func (c *Catalog) find(name string) (int, bool) {
	i, ok := c.byName[name]
	return i, ok
}

// words is the length of a bitmap of all commands.
func (c *Catalog) words() int { return (len(c.commands) + 63) / 64 }

// lower folds ASCII letters only: no other byte of a rule has a case.
func lower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
