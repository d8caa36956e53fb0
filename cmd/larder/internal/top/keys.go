package top

import (
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
)

// intervals are those that + and - go through.
func intervals() []time.Duration {
	return []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute}
}

// press takes a key.
func (s *Screen) press(k tea.KeyPressMsg) tea.Cmd {
	key := k.String()
	if key == "ctrl+c" {
		return tea.Quit
	}
	if s.typing {
		s.edit(k.Text, key)
		return nil
	}
	confirmed := s.confirm
	s.notice, s.confirm = "", false
	if s.help && !has([]string{"down", "up", "j", "k", "pgdown", "pgup", "home", "end", "g", "G"}, key) {
		s.help, s.scroll = false, 0
		return nil
	}
	switch key {
	case "q":
		return tea.Quit
	case "esc":
		s.panel, s.scroll = nil, 0
		if s.table().filter != "" && !s.help {
			s.table().filter = ""
			s.refresh()
		}
	case "ctrl+z":
		return tea.Suspend
	case "?":
		s.help, s.scroll = true, 0
	case "1", "2", "3", "4", "5", "6":
		return s.show(int(key[0] - '1'))
	case "tab", "right":
		return s.show((min(s.view, viewClients) + 1) % (viewClients + 1))
	case "shift+tab", "left":
		return s.show((min(s.view, viewClients) + viewClients) % (viewClients + 1))
	case "n", "N":
		if len(s.board.Names) > 1 {
			s.node = (s.node + 1) % len(s.board.Names)
			s.refresh()
			return s.autoSweep()
		}
	case "space", " ":
		return s.pause()
	case "+", "=":
		return s.pace(1)
	case "-":
		return s.pace(-1)
	case "M":
		return s.monitor(confirmed)
	default:
		return s.pressInTable(key)
	}
	return nil
}

// pressInTable takes the keys that move, sort, filter and open.
func (s *Screen) pressInTable(key string) tea.Cmd {
	t := s.table()
	page := max(t.pageRows, 1)
	switch key {
	case "down", "j":
		s.move(1)
	case "up", "k":
		s.move(-1)
	case "pgdown", "ctrl+f":
		s.move(page)
	case "pgup", "ctrl+b":
		s.move(-page)
	case "home", "g":
		s.move(-1 << 30)
	case "end", "G":
		s.move(1 << 30)
	case "/":
		if s.view != viewOverview {
			s.typing = true
		}
	case "s":
		t.by(t.sort + 1)
		s.refresh()
	case "S":
		t.up = !t.up
		s.refresh()
	case "r":
		if s.view == viewHot && s.monitored != nil {
			s.monitored = nil
			s.refresh()
			return s.autoSweep()
		}
		if s.needsSweep() || s.view == viewHot && s.noFreq != "" {
			return s.restartSweep()
		}
	case "enter":
		return s.open()
	}
	return nil
}

func (s *Screen) table() *table { return &s.tables[s.view] }

func (s *Screen) move(by int) {
	if s.view == viewOverview || s.panel != nil || s.help {
		s.scroll = max(min(s.scroll+by, 1<<20), 0) // the drawing bounds it
		return
	}
	s.table().move(by)
}

// edit takes a key into the filter.
func (s *Screen) edit(text, key string) {
	t := s.table()
	switch key {
	case "enter":
		s.typing = false
	case "esc":
		s.typing, t.filter = false, ""
	case "backspace":
		_, size := utf8.DecodeLastRuneInString(t.filter)
		t.filter = t.filter[:len(t.filter)-size]
	case "ctrl+u":
		t.filter = ""
	default:
		if len(t.filter)+len(text) <= 128 {
			t.filter += safe(text)
		}
	}
	t.cursor = 0
	s.refresh()
}

// show changes the view; the same key again shows what is behind.
func (s *Screen) show(view int) tea.Cmd {
	if view == viewCommands && s.view == viewCommands {
		view = viewSlow
	}
	s.view, s.panel, s.scroll, s.help = view, nil, 0, false
	s.refresh()
	if s.paused {
		return nil
	}
	if view == viewSlow || view == viewClients {
		return s.read() // what it shows is only asked for while it is seen
	}
	return s.autoSweep()
}

func (s *Screen) pause() tea.Cmd {
	s.paused = !s.paused
	if s.paused {
		return nil
	}
	cmds := []tea.Cmd{s.read()}
	if s.scanning {
		cmds = append(cmds, s.step())
	}
	return tea.Batch(cmds...)
}

// pace reads more often or less.
func (s *Screen) pace(by int) tea.Cmd {
	all := intervals()
	if last := all[len(all)-1]; s.o.Interval >= last && by > 0 {
		return nil
	}
	at := 0
	for at < len(all)-1 && all[at] < s.o.Interval {
		at++
	}
	s.o.Interval = all[max(min(at+by, len(all)-1), 0)]
	if s.paused || s.reading {
		return nil
	}
	return s.tick()
}

// monitor samples the commands of a server; it wants to be asked twice.
func (s *Screen) monitor(confirmed bool) tea.Cmd {
	if s.sampling {
		return nil
	}
	if s.view != viewHot {
		s.notice = "M is for the view of hot keys: 3"
		return nil
	}
	node := s.node
	if len(s.board.Names) > 1 {
		if node == 0 {
			s.notice = "choose a node first (n): MONITOR samples one server"
			return nil
		}
		node--
	}
	if !confirmed {
		s.confirm = true
		return nil
	}
	s.sampling = true
	return func() tea.Msg {
		m, err := s.src.Monitor(s.ctx, node)
		return monitoredMsg{m, err}
	}
}

// open shows the details of a row.
func (s *Screen) open() tea.Cmd {
	if s.panel != nil {
		s.panel, s.scroll = nil, 0
		return nil
	}
	s.scroll = 0
	switch of := s.table().current().(type) {
	case leader:
		return s.examine(of.node, of.name)
	case Access:
		return s.examine(of.Node, of.Key)
	case Namespace:
		s.panel = namespacePanel(of)
	case Command:
		s.panel = commandPanel(of, s.track())
	case Client:
		s.panel = clientPanel(of)
	case SlowCall:
		s.panel = &panel{title: "slow call " + num(float64(of.ID)).count(), lines: [][2]string{
			{"took", num(float64(of.Micros)).micros()}, {"at", of.At.Format(time.DateTime)}, {"client", safe(of.Client)}, {"node", safe(of.Node)}, {"call", of.Call}}}
	}
	return nil
}

func (s *Screen) examine(node, key string) tea.Cmd {
	s.panel = &panel{title: "key", wait: true, key: key, lines: [][2]string{{"name", safe(key)}}}
	if len(s.board.Names) > 1 {
		s.panel.lines = append(s.panel.lines, [2]string{"node", safe(node)})
	}
	return func() tea.Msg { return detailMsg{s.src.Examine(s.ctx, node, key)} }
}
