package redisstore

import (
	"strings"
	"testing"
	"time"
)

func TestTraits(t *testing.T) {
	for line, want := range map[string]traits{
		"get k":                     {key: 1, repeat: true},
		"SET k v EX 1":              {key: 1},
		"INCR k":                    {key: 1},
		"NEWCOMMAND k":              {key: 1},
		"PING":                      {repeat: true},
		"EVALSHA sha 2 a b":         {key: 3},
		"EVALSHA sha 0 a":           {},
		"EVALSHA sha":               {},
		"EVALSHA_RO sha 1 a":        {key: 3, repeat: true},
		"ZUNION 2 a b":              {key: 2, repeat: true},
		"BLMPOP 1 2 a b LEFT":       {key: 3, blocks: true},
		"BLPOP a 0":                 {key: 1, blocks: true},
		"XREAD COUNT 1 STREAMS s 0": {key: 4},
		"XREAD block 0 STREAMS s 0": {key: 4, blocks: true},
		"XREAD":                     {},
		"BITOP AND d a b":           {key: 2},
		"WAIT 1 0":                  {blocks: true},
		"OBJECT ENCODING k":         {key: 2, repeat: true},
	} {
		if got := traitsOf(strings.Fields(line)); got != want {
			t.Errorf("%s: %+v, want %+v", line, got, want)
		}
	}
}

func TestBackoff(t *testing.T) {
	for n, want := range map[int]time.Duration{1: 50 * time.Millisecond, 3: 150 * time.Millisecond, 40: 2 * time.Second, 41: 2 * time.Second, 1e6: 2 * time.Second} {
		if got := backoff(n); got != want {
			t.Errorf("backoff(%d) = %v, want %v", n, got, want)
		}
	}
}
