package top

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/larderdb/larder/internal/clock"
)

// Report is what larder top --once --json prints.
type Report struct {
	URL        string      `json:"url"` // without passwords
	Nodes      []string    `json:"nodes"`
	Lost       []string    `json:"nodes_lost,omitempty"`
	Overview   Overview    `json:"overview"`
	Alerts     []Alert     `json:"alerts"`
	Namespaces []Namespace `json:"namespaces"` // null if the server does not count them
	Commands   []Command   `json:"commands"`   // null if the server does not count them
	SlowLog    []SlowCall  `json:"slow_log"`   // null if the server refuses it
	Own        OwnLoad     `json:"own_load"`
}

// OwnLoad is what it took to ask.
type OwnLoad struct {
	Commands int64 `json:"commands"`
	Bytes    int64 `json:"bytes"`
}

// Once reads the servers twice, an interval apart, and reports. It fails when none answers.
func Once(ctx context.Context, src Reader, clk clock.Clock, interval time.Duration) (Report, error) {
	board := newBoard()
	board.take(src.Read(ctx, Want{}))
	if err := board.at(0).err; err != nil {
		return Report{}, err
	}
	timer := clk.NewTimer(interval)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-ctx.Done():
		return Report{}, context.Cause(ctx)
	}
	board.take(src.Read(ctx, Want{SlowLog: true}))
	t := board.at(0)
	if t.err != nil {
		return Report{}, t.err
	}
	r := Report{URL: src.String(), Overview: t.over, Alerts: t.alerts, SlowLog: t.cur.SlowLog}
	for _, name := range board.Names {
		switch {
		case name == all:
		case board.tracks[name].err != nil:
			r.Lost = append(r.Lost, name)
		default:
			r.Nodes = append(r.Nodes, name)
		}
	}
	if r.Alerts == nil {
		r.Alerts = []Alert{}
	}
	r.Namespaces, _ = namespacesOf(t.prev, t.cur)
	slices.SortFunc(r.Namespaces, func(a, b Namespace) int { return int(b.Bytes.V - a.Bytes.V) })
	r.Commands, _ = commandsOf(t.prev, t.cur)
	slices.SortFunc(r.Commands, func(a, b Command) int {
		switch {
		case a.Busy.V > b.Busy.V:
			return -1
		case a.Busy.V < b.Busy.V:
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	r.Own.Commands, r.Own.Bytes = src.Own().Total()
	return r, nil
}

// JSON writes the report as one indented object. It may be read in a terminal: names of the store's keep what they are, but
// control characters and those that turn the direction of writing are written as \uXXXX.
func (r Report) JSON(w io.Writer) error {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return err
	}
	out := make([]byte, 0, b.Len())
	for _, c := range b.String() { // beyond ASCII there is only text within strings, where an escape means the same
		if c == 0x7f || c > 0x7f && c <= 0xffff && (unicode.IsControl(c) || unicode.Is(unicode.Cf, c)) {
			out = fmt.Appendf(out, `\u%04x`, c)
		} else {
			out = utf8.AppendRune(out, c)
		}
	}
	_, err := w.Write(out)
	return err
}

// Text writes the report for reading.
func (r Report) Text(w io.Writer) error {
	var b strings.Builder
	o := r.Overview
	fmt.Fprintf(&b, "%s  %s  %s  up %s  over %s\n", safe(r.URL), safe(o.Server), safe(role(o.Role)), o.Uptime.span(), o.Elapsed.span())
	for _, lost := range r.Lost {
		fmt.Fprintf(&b, "! no answer from %s\n", safe(lost))
	}
	for _, a := range r.Alerts {
		mark := "*"
		if a.Severe {
			mark = "!"
		}
		fmt.Fprintf(&b, "%s %s\n", mark, safe(a.Text))
	}
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-16s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("commands/s", "%s", o.Ops.count())
	line("hit ratio", "%s (since start %s), lookups/s %s", o.HitRatio.percent(), o.HitRatioAll.percent(), o.Lookups.count())
	line("latency", "p50 %s  p99 %s", o.P50.micros(), o.P99.micros())
	line("evictions/s", "%s", o.Evictions.count())
	line("expired/s", "%s", o.Expirations.count())
	line("network/s", "in %s  out %s", o.NetIn.bytes(), o.NetOut.bytes())
	limit := o.Max.bytes()
	if o.Unlimited {
		limit = "no limit"
	}
	line("memory", "%s of %s (%s)  resident %s  peak %s  fragmentation %s", o.Used.bytes(), limit, safe(o.Policy), o.RSS.bytes(), o.Peak.bytes(), o.Fragmentation.times())
	for _, c := range o.Causes {
		line("  "+c.Name, "%s", c.Bytes.bytes())
	}
	line("keys", "%s, %s without TTL", o.Keys.count(), o.NoTTL.count())
	line("clients", "%s of %s, %s blocked, %s new/s", o.Clients.count(), o.MaxClients.count(), o.Blocked.count(), o.Connects.count())
	line("processors", "%s of one", o.CPU.percent())
	line("errors/s", "%s", o.Errors.count())
	r.tables(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// onceRows is how many rows of each table Text shows.
const onceRows = 20

func (r Report) tables(b *strings.Builder) {
	show := func(columns []column, rows []row, sort int) {
		if len(rows) == 0 {
			return
		}
		t := table{sort: sort}
		t.load(columns, rows)
		b.WriteByte('\n')
		for _, l := range t.lines(120, min(len(rows), onceRows)+1, ink{off: true}) {
			b.WriteString(strings.TrimRight(l, " ") + "\n")
		}
	}
	show(namespaceColumns(), namespaceRows(r.Namespaces), 2)
	show(commandColumns(), commandRows(r.Commands), 4)
	show(slowColumns(), slowRows(r.SlowLog), 1)
}

// ErrNoTerminal is what Run says where there is none.
var ErrNoTerminal = errors.New("standard output is not a terminal: use --once, with --json for programs")
