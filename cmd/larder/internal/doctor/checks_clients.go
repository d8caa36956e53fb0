package doctor

import (
	"fmt"
	"strconv"
)

// Checks of connections.

func checkRejected(s *Server) []Finding {
	n := s.count("rejected_connections")
	if n == 0 {
		return nil
	}
	severity, now := Warning, ""
	if more, ok := s.Window.Grown("rejected_connections"); ok && more > 0 {
		severity, now = Critical, fmt.Sprintf(", %.0f during this check", more)
	}
	return one(Finding{
		Severity: severity,
		Figure:   fmt.Sprintf("%s connections refused since the start%s", number(n), now),
		Why:      "maxclients was reached: services got errors",
		Do:       "CONFIG SET maxclients (and ulimit -n), or fewer connections: a pool of bounded size per process; CONFIG SET timeout 300 closes forgotten ones",
		Values:   values{"rejected": float64(n)},
	})
}

func checkMaxClients(s *Server) []Finding {
	clients, most := s.count("connected_clients"), s.count("maxclients")
	if most == 0 {
		most, _ = strconv.ParseInt(s.setting("maxclients"), 10, 64)
	}
	if most == 0 {
		return nil
	}
	return one(Finding{
		Severity: grade(share(clients, most), 0.6, 0.8, 0.95),
		Figure:   fmt.Sprintf("%s of %s connections are in use (%s)", number(clients), number(most), percent(share(clients, most))),
		Why:      "at 100 % new ones are refused, those of a deployment or a failover among them",
		Do:       "CONFIG SET maxclients and ulimit -n, or smaller pools",
		Values:   values{"connected": float64(clients), "maxclients": float64(most)},
	})
}

func checkChurn(s *Server) []Finding {
	connections, seconds := s.count("total_connections_received"), s.uptime().Seconds()
	if connections < fewKeys || seconds < 60 {
		return nil
	}
	rate := float64(connections) / seconds
	each := share(s.count("total_commands_processed"), connections)
	if each >= 100 {
		return nil
	}
	return one(Finding{
		Severity: grade(rate, 1, 20, never),
		Figure:   fmt.Sprintf("%.1f new connections/s since the start, %.1f commands on each", rate, each),
		Why:      "a connection costs several round trips (TCP, TLS, HELLO, AUTH) and a hundred times the work of a GET",
		Do:       "one client for the life of the process, not one per request; for functions and PHP a persistent connection, a proxy, or REST (larder serve --rest)",
		Values:   values{"connections_per_second": rate, "commands_per_connection": each},
	})
}

func checkIdle(s *Server) []Finding {
	c := s.Clients
	if c.Idle < 50 || s.setting("timeout") != "0" {
		return nil
	}
	return one(Finding{
		Severity: grade(share(int64(c.Idle), int64(c.Count)), 0.5, never, never),
		Figure:   fmt.Sprintf("%d of %d connections did nothing for %s, and timeout is 0", c.Idle, c.Count, span(idleAfter)),
		Why:      "pools are larger than needed, or connections leak: each takes memory and one of maxclients",
		Do:       "CONFIG SET timeout 3600; bound the pools; CLIENT LIST tells addresses and names",
		Values:   values{"idle": float64(c.Idle), "clients": float64(c.Count)},
	})
}

func checkBlocked(s *Server) []Finding {
	blocked, clients := s.count("blocked_clients"), s.count("connected_clients")
	if blocked < 100 {
		return nil
	}
	return one(Finding{
		Severity: grade(share(blocked, clients), 0.8, never, never),
		Figure:   fmt.Sprintf("%s of %s connections wait in BLPOP, XREAD, WAIT and the like", number(blocked), number(clients)),
		Why:      "workers are idle; or what they wait for is not produced any more",
		Do:       "fewer workers, one connection that fetches for several; compare with the depth of the queues",
		Values:   values{"blocked": float64(blocked), "connected": float64(clients)},
	})
}

func checkOutput(s *Server) (found []Finding) {
	c := s.Clients
	found = append(found, one(Finding{
		Severity: grade(float64(c.Output), 1<<20, 10<<20, 100<<20), Subject: clean(c.OutputOf),
		Figure: fmt.Sprintf("%s wait to be read by one client, %s by all", size(c.Output), size(c.Buffers)),
		Why:    "unread replies take memory that maxmemory does not bound in time: keys are evicted for them, or the process is killed",
		Do:     "read smaller pieces; CONFIG SET client-output-buffer-limit 'normal 256mb 64mb 60'; for subscribers a faster consumer or a stream",
		Values: values{"bytes": float64(c.Output), "bytes_all": float64(c.Buffers)},
	})...)
	used := s.count("used_memory")
	normal := s.count("mem_clients_normal")
	if normal < memoryWorthIt/4 {
		return found
	}
	return append(found, one(Finding{
		Severity: grade(share(normal, used), 0.1, 0.3, never),
		Figure:   fmt.Sprintf("connections take %s of the %s used", size(normal), size(used)),
		Why:      "that memory is not there for data",
		Do:       "CONFIG SET maxmemory-clients 5%; fewer connections, smaller pipelines and values",
		Values:   values{"bytes": float64(normal), "share": share(normal, used)},
	})...)
}

func checkMonitor(s *Server) []Finding {
	if s.Clients.Monitors == 0 {
		return nil
	}
	return one(Finding{
		Severity: Warning,
		Figure:   fmt.Sprintf("%d clients run MONITOR", s.Clients.Monitors),
		Why:      "every command is written out once more for each: throughput may halve; and all data passes by whoever watches",
		Do:       "CLIENT LIST, the line with flags=O, then CLIENT KILL ID",
		Values:   values{"clients": float64(s.Clients.Monitors)},
	})
}
