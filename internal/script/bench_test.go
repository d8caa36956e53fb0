package script_test

import (
	"testing"

	"github.com/larderdb/larder/internal/script"
)

func BenchmarkFiveCalls(b *testing.B) {
	rt := newRuntime()
	c, err := rt.Compile(`local n = redis.call('int')
if tonumber(n) > 3 then redis.call('echo', KEYS[1]) end
redis.call('status') redis.call('echo', ARGV[1]) return redis.call('int')`, "user_script")
	if err != nil {
		b.Fatal(err)
	}
	h := new(nullHost)
	r := script.NewRun(h)
	keys, args := bytesOf([]string{"key"}), bytesOf([]string{"value"})
	for b.Loop() {
		r.Reset(h)
		if res := rt.Eval(r, c, keys, args); res.Failed() {
			b.Fatal(show(&res))
		}
	}
}

func BenchmarkLibrary(b *testing.B) {
	rt := newRuntime()
	h := new(nullHost)
	for b.Loop() {
		if _, err := rt.LoadLibrary(script.NewRun(h), "redis.register_function('f', function() return 1 end)", nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoop(b *testing.B) {
	rt := newRuntime()
	c, _ := rt.Compile(`local n = 0 for i = 1, 1000 do n = n + i end return n`, "user_script")
	h := new(nullHost)
	r := script.NewRun(h)
	for b.Loop() {
		r.Reset(h)
		rt.Eval(r, c, nil, nil)
	}
}

// nullHost is host without a memory.
type nullHost struct{ host }

func (h *nullHost) Call(args [][]byte, out *script.Reply) string {
	switch args[0][0] {
	case 'e':
		out.Bulk(args[1])
	case 's':
		out.Simple("OK")
	default:
		out.Int(42)
	}
	return ""
}
