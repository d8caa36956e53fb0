package top

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/larderdb/larder/internal/clock"
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
	cfg := nodes[at].cfg
	switch cfg.Target {
	case store.REST:
		return Monitored{}, errors.New("MONITOR needs a connection: give the server's redis:// address instead of its REST one")
	case store.Sentinel:
		if cfg, err = s.behindSentinel(ctx); err != nil {
			return Monitored{}, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, monitorFor+cfg.DialTimeout)
	defer cancel()
	conn, err := dialPlain(ctx, cfg)
	if err != nil {
		return Monitored{}, err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer func() { _ = conn.Close() }()
	s.load.commands.Add(1)
	m, bytes, err := monitor(conn, cfg, s.clock)
	s.load.bytes.Add(bytes)
	m.Node = nodes[at].name
	for i := range m.Keys {
		m.Keys[i].Node = m.Node
	}
	return m, err
}

// behindSentinel asks the sentinels for the address of the primary.
func (s *Source) behindSentinel(ctx context.Context) (store.Config, error) {
	var errs []error
	for _, addr := range s.cfg.Addrs {
		cfg := s.single(addr)
		cfg.Username, cfg.Password, cfg.DB = s.cfg.SentinelUsername, s.cfg.SentinelPassword, 0
		st, err := s.dial(cfg)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		at, err := st.Do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", s.cfg.Master).Strings()
		if err = errors.Join(err, st.Close()); err == nil && len(at) == 2 {
			return s.single(net.JoinHostPort(at[0], at[1])), nil
		}
		errs = append(errs, err)
	}
	return store.Config{}, errors.Join(errs...)
}

func dialPlain(ctx context.Context, cfg store.Config) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: cfg.DialTimeout}
	switch {
	case cfg.Unix:
		return dialer.DialContext(ctx, "unix", cfg.Addrs[0])
	case cfg.TLS:
		config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cfg.ServerName, InsecureSkipVerify: cfg.InsecureSkipVerify}
		return (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, "tcp", cfg.Addrs[0])
	}
	return dialer.DialContext(ctx, "tcp", cfg.Addrs[0])
}

// monitor authenticates, has the server tell its commands, and counts the keys in them.
func monitor(conn net.Conn, cfg store.Config, clk clock.Clock) (m Monitored, bytes int64, err error) {
	began := clk.Monotonic()
	stop := clk.AfterFunc(monitorFor, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop.Stop()
	words := [][]string{{"MONITOR"}}
	switch {
	case cfg.Username != "":
		words = slices.Insert(words, 0, []string{"AUTH", cfg.Username, cfg.Password})
	case cfg.Password != "":
		words = slices.Insert(words, 0, []string{"AUTH", cfg.Password})
	}
	r := bufio.NewReaderSize(conn, 64<<10)
	for _, w := range words {
		if _, err := io.WriteString(conn, encode(w)); err != nil {
			return m, 0, err
		}
		line, _, err := shortLine(r)
		if err != nil {
			return m, 0, fmt.Errorf("the server did not answer %s: %w", w[0], err)
		}
		if refused, ok := strings.CutPrefix(line, "-"); ok {
			return m, 0, store.ServerError(refused)
		}
	}
	count := newAccessCount(monitorKeys)
	for count.calls < monitorCalls && bytes < monitorBytes {
		line, n, err := shortLine(r)
		bytes += int64(n)
		if err != nil {
			if errors.As(err, new(net.Error)) { // its time is up
				break
			}
			return m, bytes, err
		}
		if strings.HasPrefix(line, "+") {
			count.add(line)
		}
	}
	m.Over = clk.Monotonic() - began
	m.Calls = count.calls
	m.Keys = count.ranked(m.Over)
	return m, bytes, nil
}

func encode(words []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b.String()
}

// shortLine reads a line, of which it keeps the beginning, and tells how long it was. MONITOR shows values, too.
func shortLine(r *bufio.Reader) (line string, n int, err error) {
	var keep []byte
	for {
		part, err := r.ReadSlice('\n')
		n += len(part)
		if room := 4*clippedAt - len(keep); room > 0 {
			keep = append(keep, part[:min(room, len(part))]...)
		}
		if err == nil {
			return strings.TrimRight(string(keep), "\r\n"), n, nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", n, err
		}
	}
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

// add takes in a line of MONITOR: +1700000000.123456 [0 127.0.0.1:5000] "get" "key".
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
	if tr.Key <= 0 || tr.Key >= len(words) || watching(name) || name == "publish" || name == "spublish" || name == "auth" {
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
