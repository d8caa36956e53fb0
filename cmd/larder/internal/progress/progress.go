// Package progress draws how far a long step is.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// Bar shows how far a step is: a bar that redraws itself on a terminal, a line at every quarter elsewhere. It is for one
// goroutine at a time.
type Bar struct {
	w        io.Writer
	terminal bool
	label    string
	quarter  int // the last one written, on no terminal
}

// New is a bar on w, which may be a terminal.
func New(w io.Writer, label string) *Bar {
	return &Bar{w: w, terminal: IsTerminal(w), label: label}
}

// IsTerminal reports whether somebody is looking at what is written to w.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && f.Name() != os.DevNull
}

const barWidth = 30

// Update draws done, from 0 to 1, and a note. Nothing can be done about a terminal that does not take it.
func (p *Bar) Update(done float64, note string) {
	if p.terminal {
		full := int(done * barWidth)
		bar := strings.Repeat("█", full) + strings.Repeat("░", barWidth-full)
		_, _ = fmt.Fprintf(p.w, "\r  %-22s %s %3.0f %%  %s\x1b[K", p.label, bar, 100*done, note)
		return
	}
	if quarter := int(done * 4); quarter > p.quarter {
		p.quarter = quarter
		_, _ = fmt.Fprintf(p.w, "  %-22s %3d %%  %s\n", p.label, 25*quarter, note)
	}
}

// Finish ends the bar's line.
func (p *Bar) Finish() {
	if p.terminal {
		_, _ = fmt.Fprintln(p.w)
	}
}
