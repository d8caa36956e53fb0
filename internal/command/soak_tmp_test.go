package command_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/resp"
)

func TestSoakTmp(t *testing.T) {
	d, err := time.ParseDuration(os.Getenv("SOAK"))
	if err != nil {
		t.Skip()
	}
	files := []string{"string", "hash", "list", "set", "zset", "key", "transaction", "pubsub", "connection"}
	var lines [][][]byte
	for _, f := range files {
		b, _ := os.ReadFile("../difftest/scripts/" + f + ".txt")
		for _, l := range strings.Split(string(b), "\n") {
			if strings.HasPrefix(l, "==") || strings.HasPrefix(l, "#") {
				continue
			}
			w, ok := resp.AppendWords(nil, []byte(l))
			if ok && len(w) > 0 {
				lines = append(lines, w)
			}
		}
	}
	seed, _ := strconv.ParseUint(os.Getenv("SEED"), 10, 64)
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	keys := []string{"a", "b", "c", "{a}1"}
	n := 0
	for start := time.Now(); time.Since(start) < d; seed++ {
		rnd := rand.New(rand.NewPCG(seed, 1))
		r := newFuzzRun(t, []string{"2", "3"}[seed%2])
		r.log = append(r.log, "seed "+strconv.FormatUint(seed, 10))
		for range 200 {
			l := lines[rnd.IntN(len(lines))]
			var args [][]byte
			for i, w := range l {
				switch {
				case i == 0:
				case len(w) <= 2 && rnd.IntN(3) == 0:
					w = []byte(keys[rnd.IntN(len(keys))])
				case rnd.IntN(8) == 0:
					w = []byte(hostileWords[rnd.IntN(len(hostileWords))])
				}
				if i > 0 && rnd.IntN(40) == 0 {
					continue
				}
				args = append(args, w)
				if rnd.IntN(40) == 0 {
					args = append(args, []byte(hostileWords[rnd.IntN(len(hostileWords))]))
				}
			}
			if strings.EqualFold(string(args[0]), "shutdown") {
				continue
			}
			s := r.mine
			if rnd.IntN(8) == 0 {
				s = r.other
			}
			func() {
				defer func() {
					if v := recover(); v != nil {
						r.t.Logf("after:\n%s", strings.Join(r.log, "\n"))
						panic(v)
					}
				}()
				r.exec(s, args)
			}()
			n++
			if rnd.IntN(100) == 0 {
				r.clock.Advance(700 * time.Millisecond)
				r.p.Tick(time.Second)
			}
			if rnd.IntN(60) == 0 {
				r.exec(r.mine, [][]byte{[]byte("EXEC")})
			}
		}
		r.end()
	}
	t.Log(n, "commands")
}
