package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/kvstore"
	"github.com/larderdb/larder/store/redisstore"
)

// Node is one server to look at. Every command goes to this one, also on a Cluster.
type Node struct {
	Name    string
	Store   store.Store
	NoTouch bool // what Store reads does not count as use of a key
}

// Target is what Run looks at: one server, or all primaries of a Cluster.
type Target struct {
	Name  string // the address, without a password
	Nodes []Node
	Facts TargetFacts
}

// Open connects to what cfg leads to: to all primaries of a Cluster, to the primary behind Sentinel. The Target is closed by
// whoever opened it.
func Open(ctx context.Context, cfg store.Config) (*Target, error) {
	t := &Target{Name: cfg.String(), Facts: TargetFacts{
		TLS: cfg.TLS, Credentials: cfg.Password != "", Local: isLocal(cfg), Database: cfg.DB,
		Cluster: cfg.Target == store.Cluster,
	}}
	switch cfg.Target {
	case store.Embedded:
		return nil, fmt.Errorf("%w: %s is no server: a check-up needs one", store.ErrInvalid, cfg)
	case store.REST:
		st, err := kvstore.Open(cfg, kvstore.Options{})
		if err != nil {
			return nil, err
		}
		t.Facts.TLS, t.Facts.Credentials = strings.HasPrefix(t.Name, "https://"), true
		t.Nodes = []Node{{Name: t.Name, Store: st}}
		return t, nil
	case store.Cluster:
		addrs, err := primaries(ctx, cfg)
		if err != nil {
			return nil, err
		}
		for _, addr := range addrs {
			one := cfg
			one.Target, one.Addrs = store.Single, []string{addr}
			if err := t.add(ctx, addr, one); err != nil {
				return nil, errors.Join(err, t.Close())
			}
		}
		return t, nil
	}
	name := cfg.Addrs[0]
	if cfg.Target == store.Sentinel {
		name = cfg.Master
		t.Facts.Local = isLocal(store.Config{Addrs: primaryOf(ctx, cfg)})
	}
	return t, t.add(ctx, name, cfg)
}

// Close closes all connections.
func (t *Target) Close() error {
	var errs []error
	for _, n := range t.Nodes {
		errs = append(errs, n.Store.Close())
	}
	return errors.Join(errs...)
}

func (t *Target) add(ctx context.Context, name string, cfg store.Config) error {
	plain, err := redisstore.Open(cfg, redisstore.Options{})
	if err != nil {
		return err
	}
	n := Node{Name: name, Store: plain}
	if knowsNoTouch(ctx, plain) {
		quiet, err := redisstore.Open(cfg, redisstore.Options{NoTouch: true})
		if err != nil {
			return errors.Join(err, plain.Close())
		}
		if quiet.Do(ctx, "PING").Err() == nil {
			n.Store, n.NoTouch, quiet = quiet, true, plain
		}
		if err := quiet.Close(); err != nil {
			return err
		}
	}
	t.Nodes = append(t.Nodes, n)
	return nil
}

// knowsNoTouch asks for the version: CLIENT NO-TOUCH came with 7.2, and an older server would refuse the connection.
func knowsNoTouch(ctx context.Context, st store.Store) bool {
	text, err := st.Do(ctx, "INFO", "server").Text()
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(text, "redis_version:")
	version, _, _ := strings.Cut(after, "\n")
	return atLeast(strings.TrimSpace(version), 7, 2)
}

// atLeast compares a version's first two numbers.
func atLeast(version string, major, minor int) bool {
	head, rest, _ := strings.Cut(version, ".")
	next, _, _ := strings.Cut(rest, ".")
	a, err := strconv.Atoi(head)
	b, _ := strconv.Atoi(next)
	return err == nil && (a > major || a == major && b >= minor)
}

// primaries asks the first of the seeds that answers who holds the slots.
func primaries(ctx context.Context, cfg store.Config) ([]string, error) {
	var failures []error
	for _, seed := range cfg.Addrs {
		one := cfg
		one.Target, one.Addrs = store.Single, []string{seed}
		st, err := redisstore.Open(one, redisstore.Options{})
		if err != nil {
			return nil, err
		}
		slots, err := st.Do(ctx, "CLUSTER", "SLOTS").Array()
		if err = errors.Join(err, st.Close()); err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", seed, err))
			continue
		}
		if addrs := slotOwners(slots, seed); len(addrs) > 0 {
			return addrs, nil
		}
		failures = append(failures, fmt.Errorf("%s: nobody holds a slot", seed))
	}
	return nil, errors.Join(failures...)
}

// primaryOf asks the Sentinels where the primary is: that decides whether it is on this machine. None if nobody says.
func primaryOf(ctx context.Context, cfg store.Config) []string {
	for _, seed := range cfg.Addrs {
		one := cfg
		one.Target, one.Addrs, one.DB, one.Username, one.Password = store.Single, []string{seed}, 0, cfg.SentinelUsername, cfg.SentinelPassword
		st, err := redisstore.Open(one, redisstore.Options{})
		if err != nil {
			return nil
		}
		at, err := st.Do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", cfg.Master).Strings()
		if err = errors.Join(err, st.Close()); err == nil && len(at) == 2 {
			return []string{net.JoinHostPort(at[0], at[1])}
		}
	}
	return nil
}

// slotOwners reads CLUSTER SLOTS: the first node of each range is its primary. An empty host is that of the node asked.
func slotOwners(slots []store.Reply, seed string) (addrs []string) {
	host, _, err := net.SplitHostPort(seed)
	if err != nil {
		host = seed
	}
	for _, r := range slots {
		parts, err := r.Array()
		if err != nil || len(parts) < 3 {
			continue
		}
		node, err := parts[2].Array()
		if err != nil || len(node) < 2 {
			continue
		}
		at, _, _ := node[0].Lookup()
		if at == "" || at == "?" {
			at = host
		}
		if port, err := node[1].Int64(); err == nil {
			addrs = append(addrs, net.JoinHostPort(at, strconv.FormatInt(port, 10)))
		}
	}
	slices.Sort(addrs)
	return slices.Compact(addrs)
}

// isLocal reports whether the server is on this machine, as far as its address tells.
func isLocal(cfg store.Config) bool {
	if cfg.Unix {
		return true
	}
	if cfg.Target == store.Sentinel || len(cfg.Addrs) == 0 {
		return false // a Sentinel's own address tells nothing of the primary's
	}
	for _, addr := range cfg.Addrs {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			host = addr
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}
