package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// commandRow measures one command of redis-benchmark's own list, or one like it, once with every command waiting for
// the reply to the one before, once with sixteen in flight.
type commandRow struct {
	name  string
	load  load
	fill  filling // nil: nothing need be there
	empty bool    // the load takes away what fill gave: it is given anew for every measurement
	reach float64
}

// filling gives the commands that prepare a server for so many requests.
type filling func(requests int) func() []string

func (c commandRow) measure(ctx context.Context, o options, dir string) ([]line, error) {
	servers, stop, err := startBoth(ctx, o, dir)
	defer stop()
	if err != nil {
		return nil, err
	}
	filled := map[*server]bool{}
	all, err := alternate(o.rounds, servers, func(s *server) (sample, error) {
		if c.fill != nil && (c.empty || !filled[s]) {
			if err := refill(s, c.fill(o.scaled(c.load.requests))); err != nil {
				return sample{}, err
			}
			filled[s] = true
		}
		return c.load.once(ctx, o, s)
	})
	if err != nil {
		return nil, err
	}
	return []line{
		ratioLine(c.name+": commands/s", "", pick(all, throughput), c.reach, 0, true),
		ratioLine("  server CPU per command", "us", pick(all, cpu), 0, 0, false),
	}, nil
}

// refill empties a server and gives it what the commands say.
func refill(s *server, next func() []string) error {
	c, err := dial(s.addr)
	if err != nil {
		return err
	}
	defer c.close()
	if _, err := c.do("FLUSHALL"); err != nil {
		return err
	}
	return c.load(next)
}

// What redis-benchmark calls its keys, and what it writes into them. Without -r the placeholder stays as it is: all
// connections meet at one key.
const (
	listKey = "mylist"
	setKey  = "myset"
	zsetKey = "myzset"
	oneKey  = "key:__rand_int__"
	datum   = "xxx"
)

// commandList is redis-benchmark's default list, and a script. Requests are for some two seconds of pipeline 16 on one
// CPU; a tenth of them at pipeline 1.
func commandList() []commandRow {
	test := func(name string, requests int, fill filling) commandRow {
		return commandRow{name: strings.ToUpper(name), fill: fill, load: load{args: []string{"-t", name}, requests: requests}}
	}
	words := func(name string, requests int, fill filling, args ...string) commandRow {
		return commandRow{name: strings.ToUpper(name), fill: fill, load: load{args: args, requests: requests}}
	}
	pops := func(c commandRow) commandRow { c.empty = true; return c }
	of := func(n int, c commandRow) commandRow { // the same over many keys or members
		c.name += fmt.Sprintf(" of %d k", n/1000)
		c.load.random = n
		return c
	}
	rows := []commandRow{
		test("ping_inline", 2_000_000, nil),
		test("ping_mbulk", 2_000_000, nil),
		test("set", 1_500_000, nil),
		test("get", 2_000_000, once("SET", oneKey, datum)),
		test("incr", 1_500_000, nil),
		of(100_000, test("incr", 1_500_000, nil)),
		test("lpush", 1_500_000, nil),
		test("rpush", 1_500_000, nil),
		pops(test("lpop", 1_500_000, elements("RPUSH", listKey, datum))),
		pops(test("rpop", 1_500_000, elements("RPUSH", listKey, datum))),
		test("sadd", 1_500_000, nil),
		of(100_000, test("sadd", 1_500_000, nil)),
		test("hset", 1_500_000, nil),
		of(100_000, test("hset", 1_500_000, nil)),
		pops(test("spop", 1_000_000, members("SADD", setKey))),
		test("zadd", 1_000_000, nil),
		of(100_000, test("zadd", 1_000_000, nil)),
		pops(test("zpopmin", 1_000_000, members("ZADD", zsetKey, "0"))),
		test("mset", 300_000, nil),
		of(100_000, test("mset", 200_000, nil)),
		words("xadd", 1_000_000, nil, "XADD", "mystream", "*", "myfield", datum),
	}
	for _, n := range []int{100, 300, 500, 600} {
		list := func(int) func() []string { return elements("RPUSH", listKey, datum)(10_000) }
		rows = append(rows, words(fmt.Sprintf("lrange_%d", n), 12_000_000/(n+100), list, "LRANGE", listKey, "0", fmt.Sprint(n-1)))
	}
	return append(rows, words("eval", 300_000, nil, "EVAL", "return redis.call('incr',KEYS[1])", "1", oneKey))
}

// commandRows: the list at pipeline 1 and at pipeline 16.
func commandRows() []commandRow {
	var rows []commandRow
	for _, pipeline := range []int{1, 16} {
		for _, c := range commandList() {
			c.reach = 1.0
			if pipeline > 1 {
				c.reach = 1.2
			}
			if c.name == "EVAL" {
				c.reach = 0.5
			}
			if pipeline == 1 {
				c.load.requests = min(c.load.requests, 100_000)
			}
			c.name = fmt.Sprintf("%s, pipeline %d", c.name, pipeline)
			c.load.clients, c.load.pipeline = networkClients, pipeline
			rows = append(rows, c)
		}
	}
	return rows
}

// once is a single command.
func once(words ...string) filling {
	return func(int) func() []string {
		left := words
		return func() []string {
			now := left
			left = nil
			return now
		}
	}
}

// elements adds the same element as many times as it will be asked for.
func elements(command, key, value string) filling {
	return many([]string{command, key}, func(int) []string { return []string{value} })
}

// members adds as many different members as will be asked for; before stands in front of each.
func members(command, key string, before ...string) filling {
	return many([]string{command, key}, func(i int) []string {
		return append(slices.Clip(before), fmt.Sprintf("element:%012d", i))
	})
}

// many adds a hundred elements with every command.
func many(head []string, element func(i int) []string) filling {
	return func(requests int) func() []string {
		next := batch(100, head, func(i, _ int) []string { return element(i) })
		i := 0
		return func() []string {
			if i >= requests {
				return nil
			}
			words, count := next(i, requests)
			i += count
			return words
		}
	}
}
