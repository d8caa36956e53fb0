package store_test

import (
	"strings"
	"testing"

	"github.com/larderdb/larder/store"
)

func TestTraits(t *testing.T) {
	for line, want := range map[string]store.Traits{
		"get k":                     {Key: 1, Reads: true},
		"SET k v EX 1":              {Key: 1},
		"INCR k":                    {Key: 1},
		"NEWCOMMAND k":              {Key: 1},
		"PING":                      {Reads: true},
		"EVALSHA sha 2 a b":         {Key: 3},
		"EVALSHA sha 0 a":           {},
		"EVALSHA sha":               {},
		"EVALSHA_RO sha 1 a":        {Key: 3, Reads: true},
		"ZUNION 2 a b":              {Key: 2, Reads: true},
		"BLMPOP 1 2 a b LEFT":       {Key: 3, Blocks: true},
		"BLPOP a 0":                 {Key: 1, Blocks: true},
		"XREAD COUNT 1 STREAMS s 0": {Key: 4},
		"XREAD block 0 STREAMS s 0": {Key: 4, Blocks: true},
		"XREAD":                     {},
		"BITOP AND d a b":           {Key: 2},
		"WAIT 1 0":                  {Blocks: true},
		"OBJECT ENCODING k":         {Key: 2, Reads: true},
	} {
		if got := store.TraitsOf(strings.Fields(line)); got != want {
			t.Errorf("%s: %+v, want %+v", line, got, want)
		}
	}
}
