package top

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// View draws the screen: exactly as many lines as it has, none wider than it is.
func (s *Screen) View() tea.View {
	v := tea.NewView(strings.Join(s.draw(), "\n"))
	v.AltScreen = true
	v.WindowTitle = "larder top " + safe(s.src.String())
	return v
}

func (s *Screen) draw() []string {
	if s.width < 1 || s.height < 1 {
		return nil
	}
	lines := []string{s.head(), s.tabs()}
	body := max(s.height-3, 0)
	content := s.body(body)
	lines = append(lines, content[:min(len(content), body)]...)
	for len(lines) < s.height-1 {
		lines = append(lines, "")
	}
	lines = append(lines[:max(min(len(lines), s.height-1), 0)], s.foot())
	for i, l := range lines {
		if ansi.StringWidth(l) > s.width {
			lines[i] = ansi.Truncate(l, s.width, "")
		}
	}
	return lines
}

// head names the server and says how it is.
func (s *Screen) head() string {
	t := s.track()
	parts := []string{safe(s.src.String())}
	if len(s.board.Names) > 1 {
		parts = append(parts, fmt.Sprintf("%s (%d of %d, n: next)", safe(s.board.Names[s.node]), s.node+1, len(s.board.Names)))
	}
	if t.ready() {
		o := t.over
		parts = append(parts, safe(o.Server), safe(role(o.Role)), "up "+o.Uptime.span())
		if s.node == 0 && t.cur.Nodes > 1 {
			parts = append(parts, fmt.Sprintf("%d nodes answer", t.cur.Nodes))
		}
	}
	right := "every " + s.o.Interval.String() + " "
	if s.paused {
		right = "PAUSED "
	}
	if s.late {
		right = "NO ANSWER YET "
	}
	left := " larder top  " + strings.Join(parts, "  ")
	return s.ink.selected(fit(left, s.width-len(right), false) + fit(right, min(len(right), s.width), false))
}

// role is in the words of today.
func role(r string) string {
	switch r {
	case "master":
		return "primary"
	case "slave":
		return "replica"
	}
	return r
}

func (s *Screen) tabs() string {
	titles := viewTitles()
	var b strings.Builder
	line := func(title func(i int) string) string {
		b.Reset()
		for i := range titles {
			text := fmt.Sprintf(" %d %s ", i+1, title(i))
			if i == s.view || s.view == viewSlow && i == viewCommands {
				text = s.ink.selected(text)
			}
			b.WriteString(text)
		}
		return b.String()
	}
	full := line(func(i int) string {
		if i == viewCommands && s.view == viewSlow {
			return "Slow log"
		}
		return titles[i]
	})
	if ansi.StringWidth(full) <= s.width {
		return full
	}
	return line(func(i int) string {
		if i == s.view || i == viewCommands && s.view == viewSlow {
			return titles[i]
		}
		return titles[i][:2]
	})
}

// body is what is between the tabs and the foot.
func (s *Screen) body(height int) []string {
	t := s.track()
	var out []string
	if t.err != nil {
		out = append(out, s.ink.red(fit(" no answer: "+safe(t.err.Error()), s.width, false)),
			fit(fmt.Sprintf(" asking again every %v (%d times so far); figures below are the last there were", s.o.Interval, t.failed), s.width, false))
		if !t.ready() {
			out[1] = fit(fmt.Sprintf(" asking again every %v (%d times so far)", s.o.Interval, t.failed), s.width, false)
		}
	}
	height -= len(out)
	switch {
	case s.help:
		return append(out, s.scrolled(s.helpLines(), height)...)
	case s.panel != nil:
		return append(out, s.scrolled(s.panelLines(), height)...)
	case !t.ready():
		if t.err == nil {
			out = append(out, " waiting for the first reading ...")
		}
		return out
	case s.view == viewOverview:
		return append(out, s.scrolled(s.overview(), height)...)
	}
	above := wrapped(s.above(t), s.width-2)
	for _, l := range above[:max(min(len(above), height-4), 0)] {
		out = append(out, fit(" "+l, s.width, false))
		height--
	}
	return append(out, s.table().lines(s.width, height, s.ink)...)
}

// scrolled is the part of the lines that fits.
func (s *Screen) scrolled(lines []string, height int) []string {
	s.scroll = max(min(s.scroll, len(lines)-height), 0)
	return lines[s.scroll:min(s.scroll+max(height, 0), len(lines))]
}

// wrapped breaks lines between words.
func wrapped(lines []string, width int) (out []string) {
	for _, l := range lines {
		out = append(out, strings.Split(ansi.Wrap(l, max(width, 8), ""), "\n")...)
	}
	return out
}

// above says where the table's rows come from.
func (s *Screen) above(t *track) []string {
	switch s.view {
	case viewNamespaces:
		if t.cur.Info.Has("namespaces") {
			return []string{"Counted by the server as keys are written. REGRET: lookups of keys that had been evicted."}
		}
		return append(s.sweepLines(), "ESTIMATES from those keys: this server does not count namespaces. A dash is what only counting tells.")
	case viewHot:
		return s.aboveHot()
	case viewBig:
		return s.sweepLines()
	case viewCommands:
		return s.aboveCommands(t)
	case viewSlow:
		if why := t.cur.Refused["SLOWLOG"]; why != "" {
			return []string{"SLOWLOG: " + why}
		}
		return []string{fmt.Sprintf("Newest %d of SLOWLOG. 5: commands", slowLogMost)}
	case viewClients:
		if why := t.cur.Refused["CLIENT"]; why != "" {
			return []string{"CLIENT LIST: " + why}
		}
		if t.over.Clients.V > clientsMost {
			return []string{fmt.Sprintf("%s clients: their list is asked for with every tenth reading", t.over.Clients.count())}
		}
	}
	return nil
}

func (s *Screen) aboveCommands(t *track) []string {
	switch {
	case !t.cur.Info.Has("commandstats"):
		return []string{"This server does not offer commandstats."}
	case t.cur.Latency == nil:
		return []string{"P99 since start: " + t.cur.Refused["LATENCY"] + "  5: slow log"}
	}
	return []string{"P99: of the calls since the last reading, to a power of two. 5: slow log"}
}

func (s *Screen) aboveHot() []string {
	const warn = "MONITOR has the server copy every command to us, which may halve its throughput while it runs."
	switch {
	case s.confirm:
		return []string{warn, fmt.Sprintf("It stops after %v, %dk commands or %d MiB. Press M again to begin, any other key not to.", monitorFor, monitorCalls/1000, monitorBytes>>20)}
	case s.sampling:
		return []string{fmt.Sprintf("sampling with MONITOR, for %v at the most ...", monitorFor)}
	case s.monitored != nil:
		m := s.monitored
		return []string{fmt.Sprintf("MONITOR sample: %s commands in %.1fs on %s. M: again, r: drop it", num(float64(m.Calls)).count(), m.Over.Seconds(), safe(m.Node))}
	case s.noFreq != "":
		return []string{"OBJECT FREQ is refused: " + s.noFreq, "M: sample the commands of 5 seconds by MONITOR instead. It costs the server, and asks before."}
	}
	return append(s.sweepLines(), "FREQ: the server's logarithmic counter, 0 to 255. M: sample with MONITOR")
}

// sweepLines tell how far the scan of the keys is.
func (s *Screen) sweepLines() []string {
	w := s.sweep
	switch {
	case w == nil && s.o.ScanRate <= 0:
		return []string{"Scanning is switched off (--scan-rate 0)."}
	case w == nil:
		return []string{"The scan of the keys has not begun."}
	case w.Why != "":
		return []string{fmt.Sprintf("SCAN ended after %s keys: %s  r: again", num(w.Seen).count(), w.Why)}
	case w.Done:
		return []string{fmt.Sprintf("SCAN is through all %s keys. r: again", num(w.Seen).count())}
	}
	share := w.share()
	left := ratio(minus(w.Total, num(w.Seen)), num(float64(s.o.ScanRate)))
	return []string{fmt.Sprintf("SCAN %s %s  %s of %s keys, %d/s, %s to go", s.gauge(share, 20), share.percent(), num(w.Seen).count(), w.Total.count(), s.o.ScanRate, left.span())}
}

// gauge is a bar of width cells of which a share is full.
func (s *Screen) gauge(share Num, width int) string {
	full, empty := "█", "░"
	if s.o.Plain {
		full, empty = "#", "."
	}
	n := min(max(int(share.V*float64(width)+0.5), 0), width)
	return strings.Repeat(full, n) + strings.Repeat(empty, width-n)
}

// foot has what the next keys do, or what was said.
func (s *Screen) foot() string {
	if s.typing {
		return fit(" filter: "+s.table().filter+"_", s.width, false)
	}
	if s.notice != "" {
		return s.ink.yellow(fit(" "+s.notice, s.width, false))
	}
	own := "own load " + s.ownCommands.count() + " cmd/s " + s.ownBytes.bytes() + "/s"
	hints := []string{"? help", "q quit", "/ filter", "s S sort", "space pause", "+ - pace"}
	if f := s.table().filter; f != "" {
		hints = append([]string{"filter: " + f + " (esc: clear)"}, hints...)
	}
	line := " " + hints[0]
	for _, h := range hints[1:] {
		if ansi.StringWidth(line)+len(h)+len(own)+5 > s.width {
			break
		}
		line += "  " + h
	}
	if rest := s.width - len(own) - 1; rest > ansi.StringWidth(line)+1 {
		return s.ink.faint(fit(line, rest, false) + own + " ")
	}
	return s.ink.faint(fit(line+"  "+own, s.width, false))
}

func (s *Screen) panelLines() []string {
	p := s.panel
	out := []string{s.ink.bold(fit(" "+p.title+"  (Enter or Esc: back)", s.width, false)), ""}
	for _, l := range p.lines {
		value := ansi.Hardwrap(l[1], max(s.width-21, 8), true)
		for i, part := range strings.Split(value, "\n") {
			name := l[0]
			if i > 0 {
				name = ""
			}
			out = append(out, fit(" "+fit(name, 18, false)+" "+part, s.width, false))
		}
	}
	switch {
	case p.err != nil:
		out = append(out, s.ink.red(fit(" "+safe(p.err.Error()), s.width, false)))
	case p.wait:
		out = append(out, " asking ...")
	}
	return out
}

func (s *Screen) helpLines() []string {
	text := []string{
		"1 to 6, tab       views; 5 again: slow log",
		"j k, arrows       move; PgUp PgDn, g G: further",
		"Enter             details of a row; Esc: back",
		"/                 filter rows by name; Esc clears",
		"s  S              sort by the next column; other direction",
		"space             pause, and go on",
		"+  -              read less often; more often",
		"n                 next node of a cluster; first comes their sum",
		"r                 scan the keys again",
		"M M               hot keys by MONITOR: costs the server, ends by itself",
		"q                 quit",
		"",
		"Only commands that read are sent: INFO and LATENCY HISTOGRAM with each",
		"reading; SLOWLOG and CLIENT LIST while their view is seen; SCAN, MEMORY USAGE,",
		"PTTL, OBJECT FREQ and TYPE at --scan-rate keys a second for the views of keys.",
		"KEYS never. Own lookups are taken out of the hit ratio.",
		"A dash is what the server does not tell.",
	}
	out := make([]string, len(text))
	for i, l := range text {
		out[i] = fit(" "+l, s.width, false)
	}
	return out
}
