package top

import (
	"context"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// The views, in the order of their keys.
const (
	viewOverview = iota
	viewNamespaces
	viewHot
	viewBig
	viewCommands
	viewClients
	viewSlow // behind viewCommands: the same key again
	views
)

func viewTitles() []string {
	return []string{"Overview", "Namespaces", "Hot keys", "Big keys", "Commands", "Clients"}
}

// Reader is what a Screen needs of a Source.
type Reader interface {
	fmt.Stringer
	Read(ctx context.Context, want Want) []Sample
	Scan(ctx context.Context, from Place, want ScanWant) (Batch, error)
	Monitor(ctx context.Context, node int) (Monitored, error)
	Examine(ctx context.Context, node, key string) Detail
	Own() *Load
}

// Options say how to look.
type Options struct {
	Interval  time.Duration
	ScanRate  int    // keys a second; 0 never scans
	Separator string // between the parts of a key, where namespaces are estimated
	Depth     int    // how many parts make a namespace
	Plain     bool   // no characters beyond ASCII
}

// Screen is the program: what bubbletea calls. Only its one goroutine touches it; what waits for a server runs in commands,
// which hand back messages.
type Screen struct {
	ctx   context.Context
	src   Reader
	o     Options
	ink   ink
	board *Board
	after func(time.Duration, tea.Msg) tea.Cmd // hands the message back when that time has passed

	width, height int
	view          int
	node          int // of board.Names
	tables        [views]table
	scroll        int // of the overview and of the panel

	paused  bool
	reading bool
	late    bool // the reading takes longer than lateAfter
	ticks   int  // of the tick that is awaited: those of an older interval are void
	typing  bool
	help    bool
	panel   *panel

	ownCommands, ownBytes Num // a second
	lastCommands          int64
	lastBytes             int64
	lastRead              time.Duration

	sweep    *Sweep
	place    Place
	steps    int // of the step that is awaited
	scanning bool
	noFreq   string

	confirm   bool // MONITOR was asked for once
	sampling  bool
	monitored *Monitored
	notice    string // shown until the next key
}

// panel lies over a view: details of a row.
type panel struct {
	title string
	lines [][2]string
	err   error
	wait  bool
	key   string
}

type (
	readMsg struct {
		samples []Sample
	}
	tickMsg  struct{ n int }
	lateMsg  struct{ n int }
	batchMsg struct {
		batch Batch
		err   error
		n     int
	}
	stepMsg      struct{ n int }
	monitoredMsg struct {
		m   Monitored
		err error
	}
	detailMsg struct{ d Detail }
)

// NewScreen makes the program for a Source. ctx ends all its waiting.
func NewScreen(ctx context.Context, src Reader, o Options) *Screen {
	s := &Screen{ctx: ctx, src: src, o: o, board: newBoard(), width: 80, height: 24}
	s.after = func(d time.Duration, msg tea.Msg) tea.Cmd { return tea.Tick(d, func(time.Time) tea.Msg { return msg }) }
	s.tables[viewNamespaces].sort = 2
	s.tables[viewHot].sort = 1
	s.tables[viewBig].sort = 1
	s.tables[viewCommands].sort = 4
	s.tables[viewClients].sort = 4
	s.tables[viewSlow].sort = 1
	return s
}

// Init asks for the first reading.
func (s *Screen) Init() tea.Cmd { return tea.Batch(s.read(), s.watch()) }

// lateAfter is how long a server may take to answer before the screen says so: it looks alive for as long as the last reading is on it.
const lateAfter = 2 * time.Second

// watch looks after the reading that has begun.
func (s *Screen) watch() tea.Cmd { return s.after(lateAfter, lateMsg{s.ticks}) }

// read asks the servers.
func (s *Screen) read() tea.Cmd {
	if s.reading {
		return nil
	}
	s.reading = true
	want := s.want()
	return func() tea.Msg { return readMsg{s.src.Read(s.ctx, want)} }
}

// clientsMost is the number of clients above which their list is not asked for with every reading: a line is 300 bytes.
const clientsMost = 1000

func (s *Screen) want() Want {
	w := Want{SlowLog: s.view == viewSlow, Clients: s.view == viewClients}
	if t := s.track(); w.Clients && t.over.Clients.V > clientsMost && t.cur.Clients != nil && t.hist.Ops != nil {
		w.Clients = s.ticks%10 == 0
	}
	return w
}

func (s *Screen) track() *track { return s.board.at(s.node) }

// tick waits for the next reading's time.
func (s *Screen) tick() tea.Cmd {
	s.ticks++
	n := s.ticks
	return s.after(s.o.Interval, tickMsg{n})
}

// Update takes a message.
func (s *Screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch m := msg.(type) {
	case tea.WindowSizeMsg:
		s.width, s.height = m.Width, m.Height
	case tea.KeyPressMsg:
		return s, s.press(m)
	case tea.PasteMsg:
		if s.typing {
			s.edit(m.Content, "")
		}
	case readMsg:
		s.reading, s.late = false, false
		s.take(m.samples)
		if s.paused {
			return s, nil
		}
		return s, tea.Batch(s.tick(), s.autoSweep())
	case tickMsg:
		if m.n == s.ticks && !s.paused {
			return s, tea.Batch(s.read(), s.watch())
		}
	case lateMsg:
		s.late = s.reading && m.n == s.ticks
	case batchMsg:
		return s, s.found(m)
	case stepMsg:
		// Our own lookups have no place among the commands that a sample shows.
		if m.n == s.steps && s.scanning && !s.paused && !s.sampling {
			return s, s.step()
		}
	case monitoredMsg:
		s.sampling = false
		if m.err != nil {
			s.notice = "MONITOR: " + safe(reason(m.err).Error())
		} else {
			s.monitored = &m.m
		}
		s.refresh()
		if s.scanning && !s.paused {
			return s, s.step()
		}
	case detailMsg:
		if s.panel != nil && s.panel.wait && s.panel.key == m.d.Key {
			s.panel.wait, s.panel.lines, s.panel.err = false, append(s.panel.lines, m.d.Lines...), m.d.Err
		}
	}
	return s, nil
}

// take puts a reading on the board, and keeps what was not asked for this time.
func (s *Screen) take(samples []Sample) {
	for i := range samples {
		t, known := s.board.tracks[samples[i].Name]
		if !known {
			continue
		}
		if samples[i].Clients == nil && s.view == viewClients {
			samples[i].Clients = t.cur.Clients
		}
		was, ok1 := t.cur.Info.Text("run_id")
		now, ok2 := samples[i].Info.Text("run_id")
		if ok1 && ok2 && was != now {
			s.forgetKeys()
		}
	}
	s.board.take(samples)
	s.node = min(s.node, max(len(s.board.Names)-1, 0))
	commands, bytes := s.src.Own().Total()
	at := samples[0].At
	if past := at - s.lastRead; s.lastRead > 0 && past > 0 {
		s.ownCommands = num(float64(commands-s.lastCommands) / past.Seconds())
		s.ownBytes = num(float64(bytes-s.lastBytes) / past.Seconds())
	}
	s.lastCommands, s.lastBytes, s.lastRead = commands, bytes, at
	s.refresh()
}

// forgetKeys drops what was learned of the keys of a server that has been started anew, or has another one in its place.
func (s *Screen) forgetKeys() {
	s.steps++ // the step that is under way is void
	s.sweep, s.scanning, s.noFreq, s.monitored = nil, false, "", nil
}

// needsSweep reports whether what the view shows comes from a scan of the keys.
func (s *Screen) needsSweep() bool {
	t := s.track()
	switch s.view {
	case viewBig:
		return true
	case viewHot:
		return s.monitored == nil && s.noFreq == ""
	case viewNamespaces:
		return t.ready() && !t.cur.Info.Has("namespaces")
	}
	return false
}

// autoSweep starts the scan of the keys when a view first needs it.
func (s *Screen) autoSweep() tea.Cmd {
	if s.sweep != nil || s.o.ScanRate <= 0 || !s.needsSweep() || !s.track().ready() || s.track().err != nil {
		return nil
	}
	return s.restartSweep()
}

func (s *Screen) restartSweep() tea.Cmd {
	if s.o.ScanRate <= 0 {
		s.notice = "scanning is switched off (--scan-rate 0)"
		return nil
	}
	s.sweep = newSweep(s.o.Separator, s.o.Depth)
	s.place, s.scanning, s.noFreq = Place{}, true, ""
	return s.step()
}

// step asks for the next keys.
func (s *Screen) step() tea.Cmd {
	s.steps++
	n, from := s.steps, s.place
	want := ScanWant{Rate: s.o.ScanRate, Freq: s.noFreq == "", TypeAbove: 0}
	if big := s.sweep.big.list; len(big) == sweepTop {
		want.TypeAbove = big[len(big)-1].score
	}
	return func() tea.Msg {
		b, err := s.src.Scan(s.ctx, from, want)
		return batchMsg{b, err, n}
	}
}

// found takes in the keys of a step.
func (s *Screen) found(m batchMsg) tea.Cmd {
	if m.n != s.steps || !s.scanning {
		return nil // of a sweep that was given up
	}
	if m.err != nil {
		s.scanning = false
		s.sweep.Why = safe(m.err.Error())
		s.refresh()
		return nil
	}
	if m.batch.NoFreq != "" {
		// Redis says it in two sentences; the first will do.
		s.noFreq, _, _ = strings.Cut(safe(m.batch.NoFreq), ". ")
	}
	s.sweep.Total = plus(s.sweep.Total, m.batch.Total)
	for _, k := range m.batch.Keys {
		s.sweep.add(k)
	}
	s.place = m.batch.Next
	if m.batch.Done {
		s.scanning, s.sweep.Done = false, true
		s.refresh()
		return nil
	}
	s.refresh()
	n := s.steps
	return s.after(m.batch.Pause, stepMsg{n})
}
