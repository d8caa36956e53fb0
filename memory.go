package larder

import (
	"bytes"
	"os"
	"runtime/metrics"
	"strconv"
)

// memory gives the process's resident bytes, the garbage collector's heap, and the peak of the store's own use.
func (db *DB) memory() (rss, heap, peak int64) {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() == metrics.KindUint64 {
		heap = int64(sample[0].Value.Uint64())
	}
	return residentBytes(), heap, db.peak.Load()
}

// residentBytes reads what Linux tells of the process; 0 elsewhere.
func residentBytes() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(b)
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(string(fields[1]), 10, 64)
	return pages * int64(os.Getpagesize())
}
