package difftest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// databases is how many numbered databases scripts and generated sequences use, and the dump reads.
const databases = 3

// compareKeyspaces reads everything both sides hold, key by key, and compares type, encoding, expiry and contents.
func compareKeyspaces(tb testing.TB, a *arena) error {
	s, err := newSession(a.oracle(tb), a.target(tb), 2, a.versions)
	if err != nil {
		return err
	}
	defer s.close()
	for db := range databases {
		if err := s.step([]string{"SELECT", fmt.Sprint(db)}); err != nil {
			return err
		}
		keys, err := s.oracle.do("KEYS", "*")
		if err != nil {
			return err
		}
		others, err := s.target.do("KEYS", "*")
		if err != nil {
			return err
		}
		want, got := members(keys.Value), members(others.Value)
		slices.Sort(want)
		slices.Sort(got)
		if err := sameLists(want, got); err != nil {
			return fmt.Errorf("db %d: keys: %w", db, err)
		}
		for _, key := range want {
			if err := s.compareKey(key); err != nil {
				return fmt.Errorf("db %d: %w", db, err)
			}
		}
	}
	return nil
}

func (s *session) compareKey(key string) error {
	if err := s.step([]string{"TYPE", key}); err != nil {
		return err
	}
	kind, err := s.oracle.do("TYPE", key)
	if err != nil {
		return err
	}
	contents := map[string][]string{
		"string": {"GET", key},
		"hash":   {"HGETALL", key},
		"list":   {"LRANGE", key, "0", "-1"},
		"set":    {"SMEMBERS", key},
		"zset":   {"ZRANGE", key, "0", "-1", "WITHSCORES"},
		"stream": {"XINFO", "STREAM", key, "FULL", "COUNT", "0"},
	}
	look := [][]string{{"PEXPIRETIME", key}, {"OBJECT", "ENCODING", key}}
	if read, ok := contents[strings.TrimSpace(kind.Text)]; ok {
		look = append(look, read)
	}
	for _, args := range look {
		if err := s.step(args); err != nil {
			return err
		}
	}
	return nil
}
