package top

// ink paints with the sixteen colours that a terminal's theme defines, so it suits dark and light ones alike. Where
// NO_COLOR is set bubbletea takes the colours out again; nothing is told by colour alone.
type ink struct{ off bool }

func (i ink) paint(code, s string) string {
	if i.off || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (i ink) bold(s string) string     { return i.paint("1", s) }
func (i ink) faint(s string) string    { return i.paint("2", s) }
func (i ink) selected(s string) string { return i.paint("7", s) }
func (i ink) red(s string) string      { return i.paint("1;31", s) }
func (i ink) yellow(s string) string   { return i.paint("33", s) }
func (i ink) green(s string) string    { return i.paint("32", s) }
func (i ink) blue(s string) string     { return i.paint("36", s) }
