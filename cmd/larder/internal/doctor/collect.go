package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/internal/info"
	"github.com/larderdb/larder/store"
)

// ClientName is what CLIENT LIST and the slow log call connections of doctor, where the URL names none.
const ClientName = "larder-doctor"

// directives are those that checks look at. Each is asked for by name: CONFIG GET * would bring passwords along.
var directives = []string{
	"save", "appendonly", "bind", "protected-mode", "timeout", "maxclients", "slowlog-log-slower-than", "slowlog-max-len",
	"latency-monitor-threshold", "enable-debug-command", "enable-module-command", "enable-protected-configs", "lfu-log-factor", "lfu-decay-time",
}

const (
	slowlogEntries = "128"
	clientsMost    = 20_000 // CLIENT LIST of more would hold the server up
	idleAfter      = time.Hour
)

// readServer collects what a server says of itself. It never fails: what could not be had is in Missing.
func readServer(ctx context.Context, n Node, c clock.Clock) *Server {
	s := &Server{Name: n.Name, Missing: map[source]error{}, Now: c.Now()}
	text, err := readInfo(ctx, n.Store)
	if err != nil {
		s.Missing[fromInfo], s.failure = err, err
		s.reachable = !errors.Is(err, store.ErrUnavailable) && ctx.Err() == nil && !noLogin(err)
		if !s.reachable {
			for _, src := range []source{fromConfig, fromUsers, fromSlowlog, fromLatency, fromClients, fromCluster} {
				s.Missing[src] = err
			}
			return s
		}
	}
	s.reachable = true
	s.Info = info.Parse(text)
	if usec, ok := s.Info.Int("server_time_usec"); ok {
		s.Now = time.UnixMicro(usec)
	}
	s.readConfig(ctx, n.Store)
	s.readUsers(ctx, n.Store)
	s.readSlowlog(ctx, n.Store)
	s.readLatency(ctx, n.Store)
	s.readClients(ctx, n.Store)
	s.readCluster(ctx, n.Store)
	return s
}

// noLogin reports whether nothing at all will be answered for want of a password.
func noLogin(err error) bool {
	var refused store.ServerError
	return errors.As(err, &refused) && (refused.Code() == "NOAUTH" || refused.Code() == "WRONGPASS")
}

// readInfo asks for every section; services that know no names of sections get a plain INFO.
func readInfo(ctx context.Context, st store.Store) (string, error) {
	text, err := st.Do(ctx, "INFO", "all").Text()
	if err != nil && !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrDenied) && ctx.Err() == nil {
		text, err = st.Do(ctx, "INFO").Text()
	}
	return text, err
}

// readAgain reads the counters once more, to see what happened during the scan.
func readAgain(ctx context.Context, n Node, s *Server, c clock.Clock) {
	if s.Info.Empty() || ctx.Err() != nil {
		return
	}
	text, err := readInfo(ctx, n.Store)
	if err != nil {
		return
	}
	after := info.Parse(text)
	was, ok1 := s.Info.Int("server_time_usec")
	is, ok2 := after.Int("server_time_usec")
	elapsed := c.Now().Sub(s.Now)
	if ok1 && ok2 {
		elapsed = time.Duration(is-was) * time.Microsecond
	}
	s.Window = info.Between(s.Info, after, elapsed)
}

func (s *Server) readConfig(ctx context.Context, st store.Store) {
	cmds := make([]store.Cmd, len(directives))
	for i, name := range directives {
		cmds[i] = store.Cmd{"CONFIG", "GET", name}
	}
	// One alone first: who may not is refused once, not fourteen times in the server's log.
	first := st.Do(ctx, cmds[0]...)
	if err := first.Err(); err != nil {
		s.Missing[fromConfig] = err
		return
	}
	s.Config = map[string]string{}
	for _, r := range append(st.Pipe(ctx, cmds[1:]...), first) {
		values, err := r.Map()
		if err != nil {
			continue
		}
		for name, value := range values {
			s.Config[name] = value
		}
	}
}

func (s *Server) readUsers(ctx context.Context, st store.Store) {
	lines, err := st.Do(ctx, "ACL", "LIST").Strings()
	if err != nil {
		s.Missing[fromUsers] = err
		return
	}
	for _, line := range lines {
		if u, ok := parseUser(line); ok {
			s.Users = append(s.Users, u)
		}
	}
}

// parseUser reads a line of ACL LIST: user default on nopass ~* &* +@all
func parseUser(line string) (u User, ok bool) {
	words := strings.Fields(line)
	if len(words) < 2 || words[0] != "user" {
		return u, false
	}
	u.Name = words[1]
	for _, w := range words[2:] {
		switch w {
		case "on":
			u.On = true
		case "nopass":
			u.NoPass = true
		case "~*", "allkeys":
			u.AllKeys = true
		case "+@all", "allcommands":
			u.AllCommands = true
		case "-@all", "nocommands":
			u.AllCommands, u.Dangerous = false, false
		case "+@dangerous", "+@admin", "+config", "+config|set", "+debug", "+module", "+module|load", "+acl", "+acl|setuser", "+shutdown", "+replicaof", "+slaveof":
			u.Dangerous = true
		case "-@dangerous", "-@admin":
			u.AllCommands = false // what is left is no administrator
		}
	}
	return u, true
}

func (s *Server) readSlowlog(ctx context.Context, st store.Store) {
	entries, err := st.Do(ctx, "SLOWLOG", "GET", slowlogEntries).Array()
	if err != nil {
		s.Missing[fromSlowlog] = err
		return
	}
	for _, r := range entries {
		parts, err := r.Array()
		if err != nil || len(parts) < 4 {
			continue
		}
		at, err1 := parts[1].Int64()
		usec, err2 := parts[2].Int64()
		words, err3 := parts[3].Strings()
		if len(parts) > 5 {
			if who, _, _ := parts[5].Lookup(); who == ClientName {
				continue // what a check-up before this one sent while the server was busy
			}
		}
		if err := errors.Join(err1, err2, err3); err != nil || len(words) == 0 {
			continue
		}
		e := SlowEntry{At: time.Unix(at, 0), Took: time.Duration(usec) * time.Microsecond, Command: strings.ToUpper(words[0])}
		if key := store.TraitsOf(words).Key; key > 0 && key < len(words) {
			e.Key = words[key]
		}
		s.Slow = append(s.Slow, e)
	}
}

func (s *Server) readLatency(ctx context.Context, st store.Store) {
	events, err := st.Do(ctx, "LATENCY", "LATEST").Array()
	if err != nil {
		s.Missing[fromLatency] = err
		return
	}
	for _, r := range events {
		parts, err := r.Array()
		if err != nil || len(parts) < 4 {
			continue
		}
		name, err1 := parts[0].Text()
		at, err2 := parts[1].Int64()
		latest, err3 := parts[2].Int64()
		most, err4 := parts[3].Int64()
		if errors.Join(err1, err2, err3, err4) == nil {
			s.Events = append(s.Events, LatencyEvent{name, time.Unix(at, 0), time.Duration(latest) * time.Millisecond, time.Duration(most) * time.Millisecond})
		}
	}
}

func (s *Server) readClients(ctx context.Context, st store.Store) {
	if n := s.count("connected_clients"); n > clientsMost {
		s.Missing[fromClients] = fmt.Errorf("%d clients are too many to list without holding the server up", n)
		return
	}
	text, err := st.Do(ctx, "CLIENT", "LIST").Text()
	if err != nil {
		s.Missing[fromClients] = err
		return
	}
	s.Clients = parseClients(text)
}

// parseClients reads CLIENT LIST: a line of name=value for each client.
func parseClients(text string) *Clients {
	c := &Clients{}
	for line := range strings.Lines(text) {
		fields := map[string]string{}
		for word := range strings.FieldsSeq(line) {
			name, value, _ := strings.Cut(word, "=")
			fields[name] = value
		}
		if fields["id"] == "" {
			continue
		}
		c.Count++
		flags := fields["flags"]
		if strings.Contains(flags, "O") {
			c.Monitors++
		}
		if idle, err := strconv.ParseInt(fields["idle"], 10, 64); err == nil && !strings.ContainsAny(flags, "SMPObx") && time.Duration(idle)*time.Second >= idleAfter {
			c.Idle++
		}
		if bytes, err := strconv.ParseInt(fields["omem"], 10, 64); err == nil && bytes > 0 {
			c.Buffers += bytes
			if bytes > c.Output {
				c.Output, c.OutputOf = bytes, strings.TrimSpace(fields["addr"]+" "+fields["name"])
			}
		}
	}
	return c
}

// errNoCluster is why there is no CLUSTER INFO where nobody would expect any.
var errNoCluster = errors.New("this server is no part of a cluster")

func (s *Server) readCluster(ctx context.Context, st store.Store) {
	if s.count("cluster_enabled") == 0 {
		s.Missing[fromCluster] = errNoCluster
		return
	}
	text, err := st.Do(ctx, "CLUSTER", "INFO").Text()
	if err != nil {
		s.Missing[fromCluster] = err
		return
	}
	s.Cluster = info.Parse(text)
}

// readHost looks at the settings of Linux that a store suffers from.
func readHost(root fs.FS) *Host {
	h := &Host{}
	if b, err := fs.ReadFile(root, "proc/sys/vm/overcommit_memory"); err == nil {
		h.Overcommit = strings.TrimSpace(string(b))
	}
	if b, err := fs.ReadFile(root, "sys/kernel/mm/transparent_hugepage/enabled"); err == nil {
		_, after, _ := strings.Cut(string(b), "[")
		h.HugePages, _, _ = strings.Cut(after, "]")
	}
	if *h == (Host{}) {
		return nil // not Linux
	}
	return h
}
