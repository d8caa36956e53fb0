package main

import (
	"context"
	_ "embed"
	byteorder "encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

//go:embed shim/steppedtime.c
var steppedTime []byte

// redisHits is the hit ratio of redis-server under some policies, or a word that says why there is none.
func redisHits(ctx context.Context, o options, dir string, t trace, room int, policies []string) (string, error) {
	if _, missing := exec.LookPath(o.redis); missing != nil {
		return "no redis-server", ctx.Err()
	}
	shim := filepath.Join(dir, "steppedtime.so")
	if _, err := os.Stat(shim); err != nil {
		source := filepath.Join(dir, "steppedtime.c")
		if err := os.WriteFile(source, steppedTime, 0o600); err != nil {
			return "", err
		}
		if out, err := exec.CommandContext(ctx, "cc", "-shared", "-fPIC", "-O1", "-o", shim, source).CombinedOutput(); err != nil {
			return "no C compiler: " + strings.TrimSpace(string(out)), ctx.Err()
		}
	}
	var text strings.Builder
	for _, p := range policies {
		ratio, err := redisPolicyHits(ctx, o, dir, shim, t, room, p)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&text, "%s %.1f ", strings.TrimPrefix(p, "allkeys-"), ratio)
	}
	return text.String(), nil
}

// redisPolicyHits starts a redis-server whose wall clock this process moves.
func redisPolicyHits(ctx context.Context, o options, dir, shim string, t trace, room int, policy string) (ratio float64, err error) {
	now, err := os.CreateTemp(dir, "now")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, now.Close()) }()
	s := &redisStore{now: now, time: time.Now()}
	if err := s.pass(); err != nil {
		return 0, err
	}
	start := fmt.Sprintf("#!/bin/sh\nSTEPPED_TIME='%s' LD_PRELOAD='%s' exec '%s' \"$@\"\n", now.Name(), shim, o.redis)
	bin := filepath.Join(dir, "stepped-"+filepath.Base(now.Name()))
	if err := os.WriteFile(bin, []byte(start), 0o700); err != nil {
		return 0, err
	}
	process, err := startServer(ctx, "redis", bin, dir)
	if err != nil {
		return 0, err
	}
	defer process.stop()
	if s.c, err = dial(process.addr); err != nil {
		return 0, err
	}
	defer s.c.close()
	if _, err := s.c.do("CONFIG", "SET", "hz", "500"); err != nil { // so often it looks at the time to stamp accesses with
		return 0, err
	}
	return replay(ctx, s, t, room, policy)
}

type redisStore struct {
	c    *conn
	now  *os.File
	time time.Time
}

func (s *redisStore) get(key string) (found bool, err error) {
	reply, err := s.c.do("GET", key)
	return len(reply) > 0 && reply[0] != "", err
}

func (s *redisStore) set(key string, value []byte) error {
	_, err := s.c.do("SET", key, string(value))
	return err
}

func (s *redisStore) used() (int64, error) {
	reply, err := s.c.do("INFO", "memory")
	if err != nil {
		return 0, err
	}
	return usedMemory(strings.Join(reply, ""))
}

func (s *redisStore) bound(bytes int64, policy string) error {
	_, err := s.c.do("CONFIG", "SET", "maxmemory", fmt.Sprint(bytes), "maxmemory-policy", policy)
	return err
}

func (s *redisStore) flush() error {
	_, err := s.c.do("FLUSHALL")
	return err
}

func (s *redisStore) pass() error {
	s.time = s.time.Add(time.Second)
	_, err := s.now.WriteAt(byteorder.NativeEndian.AppendUint64(nil, uint64(s.time.UnixMicro())), 0)
	return err
}
