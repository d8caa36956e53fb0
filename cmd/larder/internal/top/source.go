package top

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/info"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/redisstore"
)

// DefaultURL is the server that is watched when none is named.
const DefaultURL = "redis://127.0.0.1:6379"

// Source reads servers. It sends a server one request at a time, only commands that read, and counts what it sends.
type Source struct {
	cfg   store.Config // immutable
	clock clock.Clock
	dial  func(store.Config) (store.Store, error)
	load  Load

	mu    sync.Mutex
	nodes []*node       // guarded by mu
	asked time.Duration // when the cluster was last asked for its nodes; guarded by mu
}

// Load counts what a Source has asked of the servers.
type Load struct {
	commands, bytes atomic.Int64
}

// Total is how many commands were sent, and about how many bytes were received, since the Source was opened.
func (l *Load) Total() (commands, bytes int64) { return l.commands.Load(), l.bytes.Load() }

// node is a server, or what is behind a REST address.
type node struct {
	name string
	st   store.Store

	mu      sync.Mutex        // one request at a time, so that a reading knows which lookups were ours
	ownHits float64           // since the server's counters began; guarded by mu
	last    info.Info         // to see when they begin anew; guarded by mu
	refused map[string]string // what the server does not know, not to be asked again; guarded by mu
	larder  bool              // it is one; guarded by mu
	spaces  bool              // INFO namespaces has to be asked for by name; guarded by mu
}

// Want is what a reading should have beyond INFO.
type Want struct{ SlowLog, Clients bool }

// slowLogMost is how many entries of SLOWLOG are asked for: its usual length.
const slowLogMost = 128

// Open prepares to read the server that a URL leads to; nothing is sent yet. host:port without a scheme will do.
func Open(url string, clk clock.Clock) (*Source, error) {
	if url == "" {
		url = DefaultURL
	}
	if !strings.Contains(url, "://") {
		url = "redis://" + url
	}
	cfg, err := store.ParseURL(url)
	if err != nil {
		return nil, err
	}
	if cfg.ClientName == "" {
		cfg.ClientName = "larder-top"
	}
	cfg.Retries = -1 // the next reading is the retry
	s := &Source{cfg: cfg, clock: clk, asked: -time.Hour}
	s.dial = func(c store.Config) (store.Store, error) {
		if c.Target == store.REST {
			return larder.Connect(context.Background(), url)
		}
		return redisstore.Open(c, redisstore.Options{})
	}
	switch cfg.Target {
	case store.Embedded:
		return nil, fmt.Errorf("%w: mem:// is the memory of another process; serve it (larder serve, or DB.Serve) and give its address", store.ErrInvalid)
	case store.Cluster:
		return s, nil
	}
	st, err := s.dial(cfg)
	if err != nil {
		return nil, err
	}
	s.nodes = []*node{{name: strings.Join(cfg.Addrs, ","), st: st}}
	return s, nil
}

// String is the address, without passwords.
func (s *Source) String() string { return s.cfg.String() }

// Own is the Source's own load.
func (s *Source) Own() *Load { return &s.load }

// Close closes the connections.
func (s *Source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, n := range s.nodes {
		errs = append(errs, n.st.Close())
	}
	s.nodes = nil
	return errors.Join(errs...)
}

// Read reads all servers at once. It has a Sample for each, those that did not answer included, and at least one.
func (s *Source) Read(ctx context.Context, want Want) []Sample {
	nodes, err := s.current(ctx)
	if len(nodes) == 0 {
		return []Sample{{At: s.clock.Monotonic(), Name: s.String(), Err: err}}
	}
	samples := make([]Sample, len(nodes))
	var wg sync.WaitGroup
	for i, n := range nodes {
		wg.Go(func() {
			samples[i] = n.read(ctx, want, &s.load, s.clock)
			if len(nodes) > 1 {
				for k := range samples[i].SlowLog {
					samples[i].SlowLog[k].Node = n.name
				}
			}
		})
	}
	wg.Wait()
	for _, sample := range samples {
		if sample.Err != nil {
			s.forget()
		}
	}
	return samples
}

// pipe sends commands to the server, and counts them.
func (n *node) pipe(ctx context.Context, load *Load, cmds []store.Cmd) []store.Reply {
	load.commands.Add(int64(len(cmds)))
	return n.st.Pipe(ctx, cmds...)
}

func (n *node) read(ctx context.Context, want Want, load *Load, clk clock.Clock) Sample {
	n.mu.Lock()
	defer n.mu.Unlock()
	cmds := n.commands(want)
	replies := n.pipe(ctx, load, cmds)
	s := Sample{At: clk.Monotonic(), Name: n.name, Nodes: 1}
	text, err := replies[0].Text()
	if err != nil {
		s.Err = reason(err)
		n.refused, n.spaces = nil, true // another server may answer next
		return s
	}
	load.bytes.Add(int64(len(text)))
	s.Info = info.Parse(text)
	_, n.larder = s.Info.Text("larder_version")
	n.spaces = n.larder && !s.Info.Has("namespaces")
	rest := cmds[1:]
	if len(rest) > 0 && rest[0][0] == "INFO" {
		if more, err := replies[1].Text(); err == nil && more != "" && !s.Info.Has("namespaces") {
			load.bytes.Add(int64(len(more)))
			s.Info = info.Parse(text + "\r\n" + more)
		}
		rest = rest[1:]
	}
	if info.Between(n.last, s.Info, 0).Reset {
		n.ownHits = 0
	}
	n.last, s.OwnHits = s.Info, n.ownHits
	for i, cmd := range rest {
		if err := s.take(cmd[0], replies[len(cmds)-len(rest)+i], load); err != nil {
			n.refuse(cmd[0], err)
		}
	}
	s.Refused = n.refusals()
	return s
}

// commands are those of one reading.
func (n *node) commands(want Want) []store.Cmd {
	cmds := []store.Cmd{{"INFO", "everything"}}
	if n.spaces || n.last.Empty() {
		cmds = append(cmds, store.Cmd{"INFO", "namespaces"})
	}
	ask := func(yes bool, cmd ...string) {
		if yes && n.refused[cmd[0]] == "" {
			cmds = append(cmds, cmd)
		}
	}
	ask(true, "LATENCY", "HISTOGRAM")
	ask(want.SlowLog, "SLOWLOG", "GET", strconv.Itoa(slowLogMost))
	ask(want.Clients, "CLIENT", "LIST")
	return cmds
}

// take puts the reply of a command in its place.
func (s *Sample) take(command string, r store.Reply, load *Load) (err error) {
	switch command {
	case "LATENCY":
		s.Latency, err = info.ParseHistograms(r)
		for _, h := range s.Latency {
			load.bytes.Add(int64(16 * len(h)))
		}
	case "SLOWLOG":
		s.SlowLog, err = parseSlowLog(r)
		for _, c := range s.SlowLog {
			load.bytes.Add(int64(64 + len(c.Call)))
		}
	case "CLIENT":
		var text string
		text, err = r.Text()
		load.bytes.Add(int64(len(text)))
		s.Clients = parseClients(text, "")
	}
	return err
}

// refuse remembers what the server said to a command. What it said for want of an answer is no refusal.
func (n *node) refuse(command string, err error) {
	if errors.Is(err, store.ErrUnavailable) {
		return
	}
	if n.refused == nil {
		n.refused = map[string]string{}
	}
	n.refused[command] = safe(reason(err).Error())
}

func (n *node) refusals() map[string]string {
	all := make(map[string]string, len(n.refused))
	for k, v := range n.refused {
		all[k] = v
	}
	return all
}

// reason takes off what an error says of this program rather than of the server.
func reason(err error) error {
	var said store.ServerError
	if errors.As(err, &said) {
		return said
	}
	text := err.Error()
	for _, prefix := range []string{"redisstore: ", store.ErrUnavailable.Error() + ": ", "redisstore: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return errors.New(text)
}

func parseSlowLog(r store.Reply) ([]SlowCall, error) {
	entries, err := r.Array()
	if err != nil {
		return nil, err
	}
	calls := make([]SlowCall, 0, len(entries))
	for _, e := range entries {
		f, err := e.Array()
		if err != nil || len(f) < 4 {
			return nil, errors.Join(errors.New("top: an entry of SLOWLOG is incomplete"), err)
		}
		id, err1 := f[0].Int64()
		at, err2 := f[1].Int64()
		micros, err3 := f[2].Int64()
		words, err4 := f[3].Strings()
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			return nil, err
		}
		c := SlowCall{ID: id, At: time.Unix(at, 0), Micros: micros, Call: callLine(words)}
		if len(f) > 4 {
			c.Client, _ = f[4].Text()
		}
		calls = append(calls, c)
	}
	return calls, nil
}

// callLine shows a command as one line, in quotes where a word has spaces.
func callLine(words []string) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		if b.Len() > 1000 {
			b.WriteString("...")
			break
		}
		if w = safe(clipped(w)); w == "" || strings.ContainsAny(w, ` "`) {
			w = `"` + strings.ReplaceAll(w, `"`, `\"`) + `"`
		}
		b.WriteString(w)
	}
	return b.String()
}
