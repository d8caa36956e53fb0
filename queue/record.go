package queue

import (
	"strconv"
	"strings"
	"time"
)

// A record is what the store keeps of a job from its enqueueing to its end:
//
//	priority key-length,unique-length,attempts,keep,timeout; key unique payload
//
// without the spaces: "30,0,25,0,0;{...}". The scripts read the numbers but the last, key and unique key; that the key's
// length comes first lets them pass plain jobs by after two bytes.

// header is a record without its payload.
type header struct {
	priority int // 0 is served first
	key      string
	unique   string
	max      int   // attempts
	keep     int64 // ms that the done job is kept
	timeout  int64 // ms of an attempt; 0: none
}

// Sizes that the scripts accept.
const (
	maxKey      = 1024 // bytes of a key or unique key
	maxAttempts = 999999
)

// plain is what a record that does not parse is treated as.
var plain = header{priority: 3, max: 1}

func (h *header) append(b []byte, payload []byte) []byte {
	b = append(b, '0'+byte(h.priority))
	b = strconv.AppendInt(b, int64(len(h.key)), 10)
	b = strconv.AppendInt(append(b, ','), int64(len(h.unique)), 10)
	b = strconv.AppendInt(append(b, ','), int64(h.max), 10)
	b = strconv.AppendInt(append(b, ','), h.keep, 10)
	b = strconv.AppendInt(append(b, ','), h.timeout, 10)
	b = append(append(append(b, ';'), h.key...), h.unique...)
	return append(b, payload...)
}

// widths are how many digits each number may have.
var widths = [...]int{4, 4, 6, maxDigits, maxDigits}

// parseHeader reads a record; ok is false if it is none.
func parseHeader(record string) (h header, payload string, ok bool) {
	if record == "" || record[0] < '0' || record[0] >= '0'+levels {
		return h, "", false
	}
	h.priority = int(record[0] - '0')
	var n [len(widths)]int64
	rest := record[1:]
	for i, width := range widths {
		end := 0
		for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' && end <= width {
			n[i] = n[i]*10 + int64(rest[end]-'0')
			end++
		}
		stop := byte(',')
		if i == len(widths)-1 {
			stop = ';'
		}
		if end == 0 || end > width || end == len(rest) || rest[end] != stop {
			return h, "", false
		}
		rest = rest[end+1:]
	}
	if n[0]+n[1] > int64(len(rest)) {
		return h, "", false
	}
	h.key, h.unique, payload = rest[:n[0]], rest[n[0]:n[0]+n[1]], rest[n[0]+n[1]:]
	h.max, h.keep, h.timeout = int(n[2]), n[3], n[4]
	return h, payload, strings.IndexByte(h.key, 0) < 0
}

func headerOf(record string) header {
	h, _ := headerAnd(record)
	return h
}

func headerAnd(record string) (h header, payload string) {
	if h, payload, ok := parseHeader(record); ok {
		return h, payload
	}
	return plain, record
}

// isPlain says that the end of such a job concerns nothing but itself.
func (h *header) isPlain() bool { return h.key == "" && h.unique == "" && h.keep == 0 }

// An id is the time of its making in ms, times 1024, and a count.
func idTime(id string) time.Time {
	n, _ := ident(id)
	return time.UnixMilli(n/perMilli + epoch)
}
