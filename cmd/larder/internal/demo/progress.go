package demo

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// progress shows how far a step is: a bar that redraws itself on a terminal, a line at every quarter elsewhere.
type progress struct {
	w        io.Writer
	terminal bool
	label    string
	quarter  int // the last one written, on no terminal
}

func newProgress(w io.Writer, label string) *progress {
	return &progress{w: w, terminal: isTerminal(w), label: label}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

const barWidth = 30

// update draws done, from 0 to 1, and a note. Nothing can be done about a terminal that does not take it.
func (p *progress) update(done float64, note string) {
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

// finish ends the bar's line.
func (p *progress) finish() {
	if p.terminal {
		_, _ = fmt.Fprintln(p.w)
	}
}
