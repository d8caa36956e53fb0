package top

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/info"
	"github.com/larderdb/larder/store"
)

// A sample by MONITOR makes the server write every command to us, which may halve its throughput. So it is taken only when
// asked for, of one server, and ends by itself: after a time, a number of commands, or an amount of data, whichever comes
// first. The last two keep a busy server from piling up what we have not read.
const (
	monitorFor   = 5 * time.Second
	monitorCalls = 200_000
	monitorBytes = 64 << 20
	monitorKeys  = 4096 // counted at a time
)

// Access is how often a key was used during a sample.
type Access struct {
	Node    string `json:"node"`
	Key     string `json:"key"`
	Reads   Num    `json:"reads_per_second"`
	Writes  Num    `json:"writes_per_second"`
	Total   Num    `json:"uses_per_second"`
	AtMost  Num    `json:"missed_at_most"` // a second, while the key was not counted: see accessCount
	Command string `json:"command"`        // the last one
}

// Monitored is a sample of the commands of a server.
type Monitored struct {
	Keys  []Access
	Calls int
	Over  time.Duration
	Node  string
}

// Monitor samples one server, the at-th. Not over REST.
func (s *Source) Monitor(ctx context.Context, at int) (Monitored, error) {
	nodes, err := s.current(ctx)
	if at >= len(nodes) {
		return Monitored{}, errors.Join(errors.New("no server to sample"), err)
	}
	n := nodes[at]
	server, ok := n.st.(store.Monitor)
	if !ok {
		return Monitored{}, errors.New("it needs a connection: give the server's redis:// address instead of its REST one")
	}
	enough, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		count = newAccessCount(monitorKeys)
		bytes int
		began time.Duration
		stop  clock.Timer // nil until the server has begun
	)
	s.load.commands.Add(1)
	err = server.Monitor(enough, func(line string) {
		switch {
		case stop == nil: // OK
			began = s.clock.Monotonic()
			stop = s.clock.AfterFunc(monitorFor, cancel)
		case enough.Err() == nil:
			bytes += len(line)
			count.add(line)
			if count.calls >= monitorCalls || bytes >= monitorBytes {
				cancel()
			}
		}
	})
	s.load.bytes.Add(int64(bytes))
	if stop == nil || enough.Err() == nil || ctx.Err() != nil {
		return Monitored{}, err
	}
	stop.Stop()
	over := s.clock.Monotonic() - began
	m := Monitored{Node: n.name, Calls: count.calls, Over: over, Keys: count.ranked(over)}
	for i := range m.Keys {
		m.Keys[i].Node = n.name
	}
	return m, nil
}

// accessCount counts the most used keys in bounded memory: when there are twice as many as it has room for, the half that is
// used less is forgotten, and whoever comes later starts with the highest count among the forgotten as the most that it
// may have missed.
type accessCount struct {
	room  int
	calls int
	floor float64 // the highest count that was forgotten
	keys  map[string]*counted
}

type counted struct {
	reads, writes, over float64
	command             string
}

func (c *counted) total() float64 { return c.reads + c.writes + c.over }

func newAccessCount(room int) *accessCount {
	return &accessCount{room: room, keys: make(map[string]*counted, 2*room)}
}

// add takes in a line of MONITOR: 1700000000.123456 [0 127.0.0.1:5000] "get" "key".
func (a *accessCount) add(line string) {
	_, rest, ok := strings.Cut(line, "] ")
	if !ok {
		return
	}
	a.calls++
	words := monitorWords(rest)
	if len(words) < 2 {
		return
	}
	name := strings.ToLower(words[0])
	tr := store.TraitsOf(words)
	if tr.Key <= 0 || tr.Key >= len(words) || info.Watching(name) || name == "publish" || name == "spublish" || name == "auth" {
		return
	}
	keys := words[tr.Key : tr.Key+1]
	step := 1
	switch name {
	case "mget", "del", "unlink", "exists", "touch":
		keys = words[1:]
	case "mset", "msetnx":
		keys, step = words[1:], 2
	}
	for i := 0; i < len(keys); i += step {
		a.use(clipped(keys[i]), name, tr.Reads)
	}
}

func (a *accessCount) use(key, command string, reads bool) {
	c := a.keys[key]
	if c == nil {
		if len(a.keys) >= 2*a.room {
			a.forget()
		}
		c = &counted{over: a.floor}
		a.keys[key] = c
	}
	if reads {
		c.reads++
	} else {
		c.writes++
	}
	c.command = command
}

// forget keeps the better half.
func (a *accessCount) forget() {
	totals := make([]float64, 0, len(a.keys))
	for _, c := range a.keys {
		totals = append(totals, c.total())
	}
	slices.Sort(totals)
	a.floor = max(a.floor, totals[len(totals)-a.room-1])
	for k, c := range a.keys {
		if c.total() <= a.floor {
			delete(a.keys, k)
		}
	}
}

// ranked are the keys by use per second, the most used first.
func (a *accessCount) ranked(over time.Duration) []Access {
	s := max(over.Seconds(), 0.001)
	list := make([]Access, 0, len(a.keys))
	for k, c := range a.keys {
		list = append(list, Access{
			Key: k, Reads: num(c.reads / s), Writes: num(c.writes / s), Total: num((c.reads + c.writes) / s), AtMost: num(c.over / s), Command: c.command,
		})
	}
	slices.SortFunc(list, func(x, y Access) int { return cmp.Or(cmp.Compare(y.Total.V, x.Total.V), cmp.Compare(x.Key, y.Key)) })
	return list[:min(len(list), sweepTop)]
}

// monitorWords reads the quoted words of a line of MONITOR; a last word that was cut off is read as far as it goes.
func monitorWords(s string) []string {
	var words []string
	for strings.HasPrefix(s, `"`) {
		var b strings.Builder
		i := 1
		for ; i < len(s) && s[i] != '"'; i++ {
			if s[i] != '\\' || i+1 == len(s) {
				b.WriteByte(s[i])
				continue
			}
			i++
			switch s[i] {
			case 'n', 'r', 't', 'a', 'b':
				b.WriteByte(map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', 'a': '\a', 'b': '\b'}[s[i]])
			case 'x':
				if v, err := strconv.ParseUint(s[i+1:min(i+3, len(s))], 16, 8); err == nil {
					b.WriteByte(byte(v))
				}
				i = min(i+2, len(s)-1)
			default:
				b.WriteByte(s[i])
			}
		}
		words = append(words, b.String())
		if len(words) > 64 || i+1 >= len(s) {
			break
		}
		s = strings.TrimPrefix(s[i+1:], " ")
	}
	return words
}
