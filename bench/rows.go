package main

import (
	"context"
	"fmt"
)

// A row is one thing to measure; it may give several lines of the table.
type row struct {
	name    string
	measure func(ctx context.Context, o options, dir string) ([]line, error)
}

// allRows is the whole benchmark, in the order of the table.
func allRows() []row {
	var rows []row
	for _, n := range networkRows() {
		rows = append(rows, row{n.name, n.measure})
	}
	for _, c := range commandRows() {
		rows = append(rows, row{c.name, c.measure})
	}
	rows = append(rows, row{"latency with 1,000 busy connections", measureBusy}, row{"memory: 10,000 idle connections", measureIdle})
	for _, m := range memoryRows() {
		rows = append(rows, row{"memory: " + m.name, m.measure})
	}
	for _, e := range embeddedRows() {
		rows = append(rows, row{"embedded: " + e.name, e.measure})
	}
	rows = append(rows, restRows()...)
	rows = append(rows, hitRows()...)
	return append(rows, duelRows()...)
}

// networkRows: one command at a time, 50 connections, a million keys of 16 B.
func networkRows() []networkRow {
	random := func(test string, pipeline, requests int) load {
		return load{args: []string{"-t", test}, clients: networkClients, pipeline: pipeline, requests: requests, random: networkKeys, bytes: 32}
	}
	return []networkRow{
		{name: "GET 32 B, pipeline 16", load: random("get", 16, 2_000_000), reach: speed{1.2, 0.80}, stretch: speed{1.5, 0.65}},
		{name: "SET 32 B, pipeline 16", load: random("set", 16, 2_000_000), reach: speed{1.2, 0.80}, stretch: speed{1.5, 0.65}},
		{name: "GET 32 B, pipeline 1", load: random("get", 1, 200_000), reach: speed{1.0, 1.0}, stretch: speed{1.1, 0.9}},
		{name: "SET 32 B, pipeline 1", load: random("set", 1, 200_000), reach: speed{1.0, 1.0}, stretch: speed{1.1, 0.9}},
	}
}

// memoryRows: what a server's resident set grows by, per element. A row's command gives the words that add
// the elements from i on, and how many they are.
func memoryRows() []memoryRow {
	value32 := "abcdefghijklmnopqrstuvwxyz012345"
	return []memoryRow{
		{
			name: "5 M keys of 11 B + 32 B", unit: "key", elements: 5_000_000, reach: 0.6, stretch: 0.5, reachBytes: 75, stretchBytes: 64,
			command: func(i, _ int) ([]string, int) { return []string{"SET", fmt.Sprintf("key%08d", i), value32}, 1 },
		},
		{
			name: "sorted set of 1 M, random order", unit: "member", elements: 1_000_000, reach: 0.7, stretch: 0.5,
			command: batch(50, []string{"ZADD", "zset"}, func(i, n int) []string {
				at := scatter(i, n)
				return []string{fmt.Sprint(at), fmt.Sprintf("member%08d", at)}
			}),
		},
		{
			name: "hash of 1 M fields of 13 B + 16 B", unit: "field", elements: 1_000_000, reach: 0.7, stretch: 0.5,
			command: batch(50, []string{"HSET", "hash"}, func(i, _ int) []string {
				return []string{fmt.Sprintf("field%08d", i), value32[:16]}
			}),
		},
		{
			name: "set of 1 M members of 14 B", unit: "member", elements: 1_000_000, reach: 0.7, stretch: 0.5,
			command: batch(50, []string{"SADD", "set"}, func(i, _ int) []string { return []string{fmt.Sprintf("member%08d", i)} }),
		},
		{
			name: "1 M hashes of 5 small fields", unit: "hash", elements: 1_000_000, reach: 0.7, stretch: 0.5,
			command: func(i, _ int) ([]string, int) {
				return []string{
					"HSET", fmt.Sprintf("user:%08d", i), "name", fmt.Sprintf("name%06d", i%1000000), "age", fmt.Sprint(i % 90),
					"city", "Springfield", "score", fmt.Sprint(i % 10000), "tier", "gold",
				}, 1
			},
		},
		{
			name: "stream of 1 M entries of two small fields", unit: "entry", elements: 1_000_000, reach: 1, stretch: 0.7,
			command: func(i, _ int) ([]string, int) {
				at := fmt.Sprintf("%d-0", 1_700_000_000_000+i*37) // some 27 entries a second
				return []string{"XADD", "stream", at, "name", fmt.Sprintf("user%d", i%100_000), "score", fmt.Sprint(i % 1000)}, 1
			},
		},
	}
}

// batch builds commands that add so many elements at once.
func batch(size int, head []string, element func(i, n int) []string) func(i, n int) ([]string, int) {
	return func(i, n int) ([]string, int) {
		words := append([]string(nil), head...)
		count := min(size, n-i)
		for k := range count {
			words = append(words, element(i+k, n)...)
		}
		return words, count
	}
}

// scatter permutes 0..n-1: a step by a number that shares no factor with n.
func scatter(i, n int) int { return int(uint64(i) * 7_368_787 % uint64(n)) }

// embeddedRows: calls inside this process. value is what the child reports under the same name.
func embeddedRows() []embeddedRow {
	return []embeddedRow{
		{name: "GET 32 B of 1 M keys, one goroutine", child: "get", lines: []embeddedLine{
			{what: "GET 32 B of 1 M keys, one goroutine", key: "ns", unit: "ns", reach: 300, stretch: 150},
			{what: "  two goroutines, times as many", key: "twice", unit: "x", reach: 1.8, more: true},
		}},
		{name: "limiter decision", child: "limiter", lines: []embeddedLine{
			{what: "limiter decision, 100 a minute", key: "allow", unit: "us", reach: 1.5, stretch: 0.7},
			{what: "  denied", key: "deny", unit: "us", reach: 1.5, stretch: 0.7},
		}},
		{name: "typed cache hit", child: "cache", lines: []embeddedLine{
			{what: "typed cache hit of a 200 B struct", key: "hit", unit: "us", reach: 2, stretch: 1},
		}},
		{name: "near cache hit", child: "near", lines: []embeddedLine{
			{what: "near cache hit", key: "hit", unit: "ns", reach: 150},
		}},
		{name: "growing to 5 M keys", child: "grow", lines: []embeddedLine{
			{what: "longest SET while growing to 5 M keys, p99.99", key: "p9999", unit: "us", reach: 1000, stretch: 200},
			{what: "  the same of a no-op", key: "noop9999", unit: "us"},
			{what: "  the one longest SET", key: "max", unit: "us"},
			{what: "  the one longest no-op", key: "noopmax", unit: "us"},
		}},
		{name: "garbage collector under overwrites", child: "gc", lines: []embeddedLine{
			{what: "collector's share of CPU, 5 M keys, overwrites of 16-512 B", key: "share", unit: "%", reach: 2, stretch: 0.5},
			{what: "  overwrites a second", key: "ops", unit: "/s"},
		}},
	}
}
