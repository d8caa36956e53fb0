package top

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/larderdb/larder/store"
)

// Place is how far a sweep has come. The zero Place is the beginning.
type Place struct {
	Node   int
	Cursor string // of SCAN; empty is the beginning of a node
}

// Batch is what one step of a sweep found.
type Batch struct {
	Keys   []KeyFacts
	Next   Place
	Done   bool
	Total  Num           // keys of all nodes; known in the first batch
	Pause  time.Duration // to wait before the next step
	NoFreq string        // why the server tells no frequencies
}

// ScanWant says how to scan.
type ScanWant struct {
	Rate      int     // keys a second
	Freq      bool    // ask for OBJECT FREQ
	TypeAbove float64 // ask for the type of keys above so many bytes
}

// scanSteps is how many steps a sweep makes in a second.
const scanSteps = 10

// Scan makes one step of a sweep: a SCAN, and for each key it names MEMORY USAGE, PTTL and OBJECT FREQ in one pipeline.
// The pause that it asks for keeps to the rate, and to a fifth of the time where the server is slow to answer.
func (s *Source) Scan(ctx context.Context, from Place, want ScanWant) (b Batch, err error) {
	nodes, err := s.current(ctx)
	if len(nodes) == 0 {
		return b, err
	}
	if from.Node >= len(nodes) {
		return Batch{Done: true}, nil // the cluster has shrunk meanwhile
	}
	began := s.clock.Monotonic()
	if from == (Place{}) {
		for _, n := range nodes {
			total, err := n.st.Do(ctx, "DBSIZE").Int64()
			s.load.commands.Add(1)
			b.Total = plus(b.Total, maybe(float64(total), err == nil))
		}
	}
	n := nodes[from.Node]
	n.mu.Lock()
	defer n.mu.Unlock()
	count := max(want.Rate/scanSteps, 1)
	cursor, keys, err := n.scan(ctx, from.Cursor, count, &s.load)
	if err != nil {
		return b, reason(err)
	}
	if b.NoFreq, err = n.examine(ctx, keys, want, &b.Keys, &s.load); err != nil {
		return b, reason(err)
	}
	b.Next = Place{from.Node, cursor}
	if cursor == "0" {
		b.Next = Place{from.Node + 1, ""}
		b.Done = b.Next.Node >= len(nodes)
	}
	took := s.clock.Monotonic() - began
	b.Pause = max(time.Duration(max(len(keys), count))*time.Second/time.Duration(max(want.Rate, 1))-took, 4*took, 0)
	return b, nil
}

func (n *node) scan(ctx context.Context, cursor string, count int, load *Load) (next string, keys []string, err error) {
	if cursor == "" {
		cursor = "0"
	}
	r := n.pipe(ctx, load, []store.Cmd{{"SCAN", cursor, "COUNT", strconv.Itoa(min(count, 1000))}})[0]
	parts, err := r.Array()
	if err != nil {
		return "", nil, err
	}
	if len(parts) != 2 {
		return "", nil, errors.New("SCAN answered something else")
	}
	next, err1 := parts[0].Text()
	keys, err2 := parts[1].Strings()
	for _, k := range keys {
		load.bytes.Add(int64(len(k)))
	}
	return next, keys, errors.Join(err1, err2)
}

// examine asks about keys. What the server refuses for one key it may answer for the next.
func (n *node) examine(ctx context.Context, keys []string, want ScanWant, found *[]KeyFacts, load *Load) (noFreq string, err error) {
	if len(keys) == 0 {
		return "", nil
	}
	per := 2
	if want.Freq {
		per = 3
	}
	cmds := make([]store.Cmd, 0, per*len(keys))
	for _, k := range keys {
		cmds = append(cmds, store.Cmd{"MEMORY", "USAGE", k}, store.Cmd{"PTTL", k})
		if want.Freq {
			cmds = append(cmds, store.Cmd{"OBJECT", "FREQ", k})
		}
	}
	replies := n.pipe(ctx, load, cmds)
	load.bytes.Add(int64(8 * len(replies)))
	var large []int
	for i, k := range keys {
		r := replies[i*per : i*per+per]
		f := KeyFacts{Node: n.name, Name: k}
		ttl, err := r[1].Int64()
		if errors.Is(err, store.ErrUnavailable) {
			return "", err
		}
		if err == nil && ttl == -2 {
			continue // it is gone
		}
		n.hit(err == nil)
		f.Known, f.HasTTL, f.TTL = err == nil, err == nil && ttl >= 0, time.Duration(ttl)*time.Millisecond
		bytes, err := r[0].Int64()
		f.Bytes = maybe(float64(bytes), err == nil)
		if want.Freq {
			freq, err := r[2].Int64()
			n.hit(err == nil && !n.larder) // which counts OBJECT no more than MEMORY
			f.Freq = maybe(float64(freq), err == nil)
			if err != nil && !errors.Is(err, store.ErrNil) {
				noFreq = reason(err).Error()
			}
		}
		if f.Bytes.V > want.TypeAbove {
			large = append(large, len(*found))
		}
		*found = append(*found, f)
	}
	n.types(ctx, large, *found, load)
	return noFreq, nil
}

// types asks for the types of those keys that may be among the biggest.
func (n *node) types(ctx context.Context, large []int, found []KeyFacts, load *Load) {
	if len(large) == 0 {
		return
	}
	cmds := make([]store.Cmd, len(large))
	for i, at := range large {
		cmds[i] = store.Cmd{"TYPE", found[at].Name}
	}
	for i, r := range n.pipe(ctx, load, cmds) {
		if t, err := r.Text(); err == nil && t != "none" {
			n.hit(true)
			found[large[i]].Type = safe(t)
		}
	}
}

// hit counts a lookup of ours that the server counts as a hit. Called with mu held.
func (n *node) hit(yes bool) {
	if yes {
		n.ownHits++
	}
}

// Detail is all that can be asked about a key.
type Detail struct {
	Node, Key string
	Lines     [][2]string // name and value, safe to show
	Err       error
}

// lengths are the commands that tell how much is in a value.
func lengthOf(kind, key string) store.Cmd {
	switch kind {
	case "string":
		return store.Cmd{"STRLEN", key}
	case "list":
		return store.Cmd{"LLEN", key}
	case "hash":
		return store.Cmd{"HLEN", key}
	case "set":
		return store.Cmd{"SCARD", key}
	case "zset":
		return store.Cmd{"ZCARD", key}
	case "stream":
		return store.Cmd{"XLEN", key}
	}
	return nil
}

// Examine asks about one key, on the server where a scan or a sample found it.
func (s *Source) Examine(ctx context.Context, nodeName, key string) Detail {
	d := Detail{Node: nodeName, Key: key}
	nodes, err := s.current(ctx)
	for _, n := range nodes {
		if n.name == nodeName {
			n.mu.Lock()
			defer n.mu.Unlock()
			d.Lines, d.Err = n.detail(ctx, key, &s.load)
			return d
		}
	}
	d.Err = errors.Join(errors.New("its server is no longer there"), err)
	return d
}

func (n *node) detail(ctx context.Context, key string, load *Load) (lines [][2]string, err error) {
	if len(key) >= clippedAt {
		return nil, errors.New("its name is longer than is kept here")
	}
	r := n.pipe(ctx, load, []store.Cmd{{"TYPE", key}, {"OBJECT", "ENCODING", key}, {"MEMORY", "USAGE", key}, {"PTTL", key}, {"OBJECT", "FREQ", key}, {"OBJECT", "IDLETIME", key}})
	kind, err := r[0].Text()
	if err != nil {
		return nil, reason(err)
	}
	if kind == "none" {
		return nil, errors.New("the key is gone: deleted, expired or evicted")
	}
	n.ownHits += 2
	add := func(name, value string) { lines = append(lines, [2]string{name, safe(value)}) }
	number := func(name string, r store.Reply, show func(Num) string) {
		if v, err := r.Int64(); err == nil {
			add(name, show(num(float64(v))))
		}
	}
	add("type", kind)
	if enc, err := r[1].Text(); err == nil {
		add("encoding", enc)
	}
	number("memory", r[2], Num.bytes)
	if ms, err := r[3].Int64(); err == nil {
		left := "none"
		if ms >= 0 {
			left = num(float64(ms) / 1000).span()
		}
		add("time to live", left)
	}
	number("frequency", r[4], Num.count)
	number("idle", r[5], Num.span)
	if cmd := lengthOf(kind, key); cmd != nil {
		number(strings.ToLower(cmd[0]), n.pipe(ctx, load, []store.Cmd{cmd})[0], Num.count)
	}
	return lines, nil
}
