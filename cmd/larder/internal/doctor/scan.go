package doctor

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/larderdb/larder/store"
)

const (
	pageMost  = 200 // keys a page: what is asked of them takes a server well below a millisecond
	pageLeast = 10

	// Reading a value or a length counts as use of the key, so few are read where the server knows no no-touch mode.
	readsPerType      = 25     // of each type in each namespace
	readsMost         = 2_000  // altogether
	readsMostNoTouch  = 50_000 // altogether
	prefixBytes       = 1024   // of a string
	lengthBytes       = 16 << 10
	hugeHash          = 100_000 // fields
	fieldsRead        = "10"
	progressInterval  = 100 * time.Millisecond
	deniedBeforeStop  = 1000       // keys in a row that this user may not look at
	movedBeforeStop   = 1000       // keys in a row that this server sends elsewhere for
	endless           = 10_000_000 // pages beyond what a table can have
	commandDeniedWord = "to run the"
)

// scan is one walk through all servers.
type scan struct {
	o      Options
	nodes  []Node
	about  []*Server
	pacer  *pacer
	keys   *Keyspace
	sizes  []int64 // keys of each node
	began  time.Duration
	drawn  time.Duration
	deaf   map[source]bool // commands that are not sent any more
	denied int64           // keys refused in a row
	moved  int64           // keys that are another server's, in a row
}

func newScan(t *Target, o Options, about []*Server) *scan {
	return &scan{o: o, nodes: t.Nodes, about: about, pacer: newPacer(o.Clock, o.Rate), keys: newKeyspace(o.Separator), deaf: map[source]bool{}}
}

// run walks. It ends early when ctx does or a server dies; what was found until then stays.
func (s *scan) run(ctx context.Context) *Keyspace {
	s.began = s.o.Clock.Monotonic()
	s.keys.NoTouch = true
	err := s.walkAll(ctx)
	s.keys.Seconds = (s.o.Clock.Monotonic() - s.began).Seconds()
	if err != nil {
		s.stopped(ctx, err)
	}
	if s.o.Match == "" {
		s.keys.examined = s.keys.Seen + s.keys.Denied
	}
	s.keys.Keys = max(s.keys.Keys, s.keys.Seen)
	s.keys.Estimated = !s.keys.Complete && s.keys.Seen > 0
	return s.keys
}

// stopped says why the walk did not get to its end.
func (s *scan) stopped(ctx context.Context, err error) {
	ks := s.keys
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, errTimeout):
		ks.Stopped = fmt.Sprintf("--timeout of %v passed", s.o.Timeout)
	case cause != nil:
		ks.Stopped, ks.Cancelled = "interrupted", true
	default:
		ks.Stopped = err.Error()
		// A user who may not scan gets a report without keys; a server that died was not examined.
		ks.Cancelled = !errors.Is(err, store.ErrDenied) && !errors.Is(err, store.ErrUnsupported)
	}
	if ks.Seen == 0 {
		ks.Missing[fromScan] = err
	}
}

func (s *scan) walkAll(ctx context.Context) error {
	ks := s.keys
	var failure error
	sized := true
	for i, n := range s.nodes {
		if !s.about[i].reachable {
			failure = fmt.Errorf("%s: %w", n.Name, s.about[i].failure)
			s.sizes = append(s.sizes, 0)
			continue
		}
		size, err := n.Store.Do(ctx, "DBSIZE").Int64()
		sized = sized && err == nil // who may not ask scans without knowing how far it is
		s.sizes = append(s.sizes, size)
		ks.Keys += size
		all, _ := s.about[i].keyspace()
		ks.Elsewhere += max(0, all-size)
		ks.NoTouch = ks.NoTouch && n.NoTouch
	}
	whole := true
	for i := range s.nodes {
		most := int64(-1)
		switch {
		case s.o.Sample > 0 && !sized:
			most = max(1, s.o.Sample/int64(len(s.nodes)))
		case s.o.Sample > 0 && ks.Keys > s.o.Sample:
			most = max(1, s.o.Sample*s.sizes[i]/ks.Keys)
		}
		if !s.about[i].reachable {
			continue
		}
		complete, err := s.walk(ctx, i, most)
		if err != nil {
			failure = fmt.Errorf("%s: %w", s.nodes[i].Name, err)
			if ctx.Err() != nil {
				break
			}
		}
		whole = whole && complete
	}
	ks.Complete = whole && failure == nil
	if failure == nil { // else somebody does not answer, and might keep us waiting for each key
		s.lookCloser(ctx)
	}
	return failure
}

// walk goes through one server until its end, or until most keys were seen.
func (s *scan) walk(ctx context.Context, i int, most int64) (complete bool, err error) {
	n := &s.nodes[i]
	page := pageMost
	if s.o.Rate > 0 {
		page = min(pageMost, max(pageLeast, s.o.Rate/50))
	}
	command := []string{"SCAN", "0"}
	if s.o.Match != "" {
		command = append(command, "MATCH", s.o.Match)
	}
	command = append(command, "COUNT", strconv.Itoa(page))
	seen, visited := int64(0), int64(0)
	s.moved = 0
	for {
		cursor, names, err := scanPage(n.Store.Do(ctx, command...))
		if err != nil {
			return false, err
		}
		s.keys.examined += int64(max(page, len(names)))
		s.pacer.spend(max(page, len(names)))
		for len(names) > 0 {
			part := names[:min(len(names), pageMost)]
			if err := s.look(ctx, n, s.about[i], part); err != nil {
				return false, err
			}
			names, seen = names[len(part):], seen+int64(len(part))
		}
		s.progress(false)
		if cursor == "0" && s.moved > 0 && s.moved == seen {
			return false, errReplica
		}
		if cursor == "0" {
			s.progress(true)
			return true, nil
		}
		if most >= 0 && seen >= most {
			return false, nil
		}
		if visited += int64(page); visited > endless+100*s.sizes[i] {
			return false, fmt.Errorf("%w: SCAN does not come to an end", store.ErrReply)
		}
		if err := s.pacer.wait(ctx); err != nil {
			return false, err
		}
		command[1] = cursor
	}
}

// errReplica is why nothing is seen of a replica in a Cluster: SCAN names its keys, and for each of them it sends whoever
// asks to its primary.
var errReplica = fmt.Errorf("%w: this replica of a cluster leaves its keys to its primary; redis+cluster:// examines the primaries", store.ErrUnsupported)

func scanPage(r store.Reply) (cursor string, names []string, err error) {
	parts, err := r.Array()
	if err != nil {
		return "", nil, err
	}
	if len(parts) != 2 {
		return "", nil, fmt.Errorf("%w: SCAN with %d elements", store.ErrReply, len(parts))
	}
	if cursor, err = parts[0].Text(); err != nil {
		return "", nil, err
	}
	names, err = parts[1].Strings()
	return cursor, names, err
}

func (s *scan) progress(force bool) {
	now := s.o.Clock.Monotonic()
	if s.o.Progress == nil || !force && now-s.drawn < progressInterval {
		return
	}
	s.drawn = now
	ks := s.keys
	done, of := ks.Seen, ks.Keys
	if s.o.Match != "" {
		done = ks.examined
	} else if s.o.Sample > 0 {
		of = min(of, s.o.Sample)
	}
	s.o.Progress(min(1, float64(done)/float64(max(of, 1))), fmt.Sprintf("%s of %s keys", number(ks.Seen), number(max(ks.Keys, ks.Seen))))
}

// look asks about a page of keys and counts them. The first page is one key: who lacks a permission is refused, and
// logged by the server, once.
func (s *scan) look(ctx context.Context, n *Node, about *Server, names []string) error {
	if s.keys.Seen == 0 && s.keys.Denied == 0 && len(names) > 1 {
		if err := s.look(ctx, n, about, names[:1]); err != nil {
			return err
		}
		names = names[1:]
	}
	qs := s.asked(about)
	cmds := make([]store.Cmd, 0, len(qs)*len(names))
	for _, name := range names {
		for _, q := range qs {
			cmds = append(cmds, q.cmd(name))
		}
	}
	var replies []store.Reply
	if len(cmds) > 0 {
		replies = n.Store.Pipe(ctx, cmds...)
	}
	at := s.o.Clock.Monotonic() - s.began
	page := make([]key, 0, len(names))
	for i, name := range names {
		k := key{name: name, server: n.Name, node: n, ttl: -1, freq: -1, elements: -1, kind: aModule}
		if len(s.nodes) == 1 {
			k.server = ""
		}
		known, err := s.take(&k, qs, replies[i*len(qs):(i+1)*len(qs)])
		if err != nil {
			return err
		}
		if !known || k.kind == kinds { // refused, or gone since SCAN named it
			continue
		}
		page = append(page, k)
	}
	if err := s.read(ctx, n, page); err != nil {
		return err
	}
	for i := range page {
		s.keys.add(&page[i], s.o.Separator, at)
	}
	return nil
}

// take reads what was answered about one key; known is false if this user may not look at it.
func (s *scan) take(k *key, qs []question, replies []store.Reply) (known bool, err error) {
	for j, q := range qs {
		err := q.take(k, replies[j])
		switch {
		case err == nil, errors.Is(err, store.ErrNil):
		case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrClosed), errors.Is(err, context.Canceled):
			return false, err
		case errors.Is(err, store.ErrDenied) && !strings.Contains(err.Error(), commandDeniedWord):
			s.keys.Denied++
			if s.denied++; s.denied >= deniedBeforeStop {
				return false, fmt.Errorf("%d keys in a row: %w", s.denied, err)
			}
			return false, nil
		case strings.HasPrefix(err.Error(), "MOVED"):
			if s.moved++; s.moved >= movedBeforeStop {
				return false, errReplica
			}
			return false, nil // its slot went elsewhere meanwhile
		case strings.HasPrefix(err.Error(), "ASK"), strings.HasPrefix(err.Error(), "ERR no such key"):
			k.kind = kinds // it went elsewhere meanwhile, or is gone
		default:
			s.miss(q.from, err)
			s.deaf[q.from] = true
		}
	}
	s.denied, s.moved = 0, 0
	return true, nil
}

// read has a look at the values of some keys of a page: the beginning of strings, the length of the others.
func (s *scan) read(ctx context.Context, n *Node, page []key) error {
	var cmds []store.Cmd
	var of []int
	for i := range page {
		k := &page[i]
		k.space = s.keys.space(spaceOf(k.name, s.o.Separator, s.o.Depth))
		if s.wanted(k, n.NoTouch) {
			k.space.read[k.kind]++
			s.keys.Touched++
			of = append(of, i)
			if k.kind == aString {
				cmds = append(cmds, store.Cmd{"GETRANGE", k.name, "0", strconv.Itoa(prefixBytes - 1)})
			} else {
				cmds = append(cmds, store.Cmd{types[k.kind].length, k.name})
			}
		}
	}
	if len(cmds) == 0 {
		return nil
	}
	for j, r := range n.Store.Pipe(ctx, cmds...) {
		if err := s.takeValue(&page[of[j]], r); err != nil {
			return err
		}
	}
	return nil
}

// wanted decides whether a key's value is worth a look.
func (s *scan) wanted(k *key, noTouch bool) bool {
	most := int64(readsMost)
	if noTouch {
		most = readsMostNoTouch
	}
	if k.kind == aModule || s.deaf[fromValues] || s.keys.Touched >= most || s.keys.Missing[fromType] != nil {
		return false
	}
	return k.space.read[k.kind] < readsPerType || k.kind != aString && k.bytes >= lengthBytes
}

func (s *scan) takeValue(k *key, r store.Reply) error {
	if err := r.Err(); err != nil {
		switch {
		case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrClosed), errors.Is(err, context.Canceled):
			return err
		case errors.Is(err, store.ErrDenied), errors.Is(err, store.ErrUnsupported):
			s.miss(fromValues, err)
			s.deaf[fromValues] = true
		}
		k.space.read[k.kind]--
		return nil
	}
	if k.kind == aString {
		text, _ := r.Text()
		k.space.forms[formOf(text, len(text) < prefixBytes)]++
		return nil
	}
	k.elements, _ = r.Int64()
	if k.elements == 1 {
		k.space.single[k.kind]++
	}
	s.keys.Long.add(k.elements, k)
	return nil
}

// lookCloser asks more of the biggest keys. What it cannot learn it leaves out.
func (s *scan) lookCloser(ctx context.Context) {
	for _, top := range []ranking{s.keys.Big, s.keys.Long} {
		for i := range top {
			k := &top[i].key
			if ctx.Err() != nil || len(k.name) >= keyMost || k.bytes < lengthBytes {
				continue
			}
			k.encoding, _ = k.node.Store.Do(ctx, "OBJECT", "ENCODING", k.name).Text()
			if k.kind == aHash && k.elements >= hugeHash {
				if _, fields, err := scanPage(k.node.Store.Do(ctx, "HSCAN", k.name, "0", "COUNT", fieldsRead)); err == nil {
					for j := 0; j < len(fields) && len(k.fields) < 3; j += 2 {
						k.fields = append(k.fields, strings.Clone(fields[j]))
					}
				}
			}
		}
	}
}
