package top

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/larderdb/larder/store"
)

// refreshNodes is how often a cluster is asked for its nodes while all is well.
const refreshNodes = 30 * time.Second

// current are the servers to read. A cluster's are asked for now and then, and after a failure.
func (s *Source) current(ctx context.Context) ([]*node, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cfg.Target != store.Cluster || len(s.nodes) > 0 && s.clock.Monotonic()-s.asked < refreshNodes {
		return s.nodes, nil
	}
	addrs, err := s.primaries(ctx)
	if err != nil {
		return s.nodes, err // those known may still answer
	}
	s.asked = s.clock.Monotonic()
	return s.nodes, s.follow(addrs)
}

// forget has the cluster asked again before the next reading.
func (s *Source) forget() {
	s.mu.Lock()
	s.asked = -time.Hour
	s.mu.Unlock()
}

// follow keeps the connections to nodes that are still there. Called with mu held.
func (s *Source) follow(addrs []string) error {
	var errs []error
	s.nodes = slices.DeleteFunc(s.nodes, func(n *node) bool {
		gone := !slices.Contains(addrs, n.name)
		if gone {
			errs = append(errs, n.st.Close())
		}
		return gone
	})
	for _, addr := range addrs {
		if slices.ContainsFunc(s.nodes, func(n *node) bool { return n.name == addr }) {
			continue
		}
		st, err := s.dial(s.single(addr))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.nodes = append(s.nodes, &node{name: addr, st: st})
	}
	slices.SortFunc(s.nodes, func(a, b *node) int { return slices.Index(addrs, a.name) - slices.Index(addrs, b.name) })
	return errors.Join(errs...)
}

// single is the configuration for one server of the cluster.
func (s *Source) single(addr string) store.Config {
	cfg := s.cfg
	cfg.Target, cfg.Addrs = store.Single, []string{addr}
	return cfg
}

// primaries asks the nodes that are known, then those of the URL, for all that hold slots. Called with mu held.
func (s *Source) primaries(ctx context.Context) (addrs []string, err error) {
	var errs []error
	for _, n := range s.nodes {
		if addrs, err := primariesOf(ctx, n.st, n.name, &s.load); err == nil {
			return addrs, nil
		}
	}
	for _, seed := range s.cfg.Addrs {
		st, err := s.dial(s.single(seed))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		addrs, err := primariesOf(ctx, st, seed, &s.load)
		if err = errors.Join(err, st.Close()); err == nil {
			return addrs, nil
		}
		errs = append(errs, reason(err))
	}
	return nil, errors.Join(errs...)
}

func primariesOf(ctx context.Context, st store.Store, asked string, load *Load) (addrs []string, err error) {
	load.commands.Add(1)
	ranges, err := st.Do(ctx, "CLUSTER", "SLOTS").Array()
	if err != nil {
		return nil, err
	}
	for _, r := range ranges {
		f, err := r.Array() // from, to, primary, replicas
		if err != nil || len(f) < 3 {
			return nil, errors.Join(errors.New("top: a range of CLUSTER SLOTS is incomplete"), err)
		}
		about, err := f[2].Array()
		if err != nil || len(about) < 2 {
			return nil, errors.Join(errors.New("top: a node of CLUSTER SLOTS is incomplete"), err)
		}
		host, _ := about[0].Text() // nil or "" is the node that was asked; "?" one whose name is unknown
		port, err := about[1].Int64()
		if err != nil {
			return nil, err
		}
		if host == "" || host == "?" {
			if host, _, err = net.SplitHostPort(asked); err != nil {
				return nil, err
			}
		}
		if addr := net.JoinHostPort(host, strconv.FormatInt(port, 10)); !slices.Contains(addrs, addr) {
			addrs = append(addrs, addr)
		}
	}
	if len(addrs) == 0 {
		return nil, errors.New("the cluster has no slots assigned")
	}
	slices.Sort(addrs)
	return addrs, nil
}
