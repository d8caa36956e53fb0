package table

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// threadTime is the processor time of this thread: what other work on the machine takes does not count.
func threadTime() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// BenchmarkLongestInsert grows to 5 million keys and reports the longest insertion in processor time, beside the
// longest of as many look-ups of one key: what this machine's interrupts and page tables make of nothing at all.
func BenchmarkLongestInsert(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const n = 5_000_000
	for range b.N {
		s := newShards()
		value := make([]byte, 32)
		var e Entry
		var key []byte
		measure(b, n, "insert", func(i int) {
			key = benchKey(key, 11, i)
			s.set(key, value, &e)
		})
		h := Hash(42, key)
		measure(b, n, "noise", func(int) { s.table(h).Find(h, key, &e) })
		s.reset()
	}
}

// measure runs op n times and reports the longest run, and how many took more than 100 and 200 us.
func measure(b *testing.B, n int, what string, op func(i int)) {
	var longest time.Duration
	over100, over200 := 0, 0
	for i := range n {
		begin := threadTime()
		op(i)
		took := threadTime() - begin
		longest = max(longest, took)
		if took > 100*time.Microsecond {
			over100++
		}
		if took > 200*time.Microsecond {
			over200++
		}
	}
	b.ReportMetric(float64(longest.Microseconds()), what+"-longest-us")
	b.ReportMetric(float64(over100), what+"-over-100us")
	b.ReportMetric(float64(over200), what+"-over-200us")
}
