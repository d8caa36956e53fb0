package queue

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A record is what the store keeps of a job from its enqueueing to its end:
//
//	priority key-length,unique-length,attempts,keep,timeout; key unique payload
//	priority key-length,unique-length,attempts,keep,timeout,headers-length; key unique headers payload
//
// without the spaces: "30,0,25,0,0;{...}". The scripts read priority, attempts, keep, key and unique key; that the key's
// length comes first lets them pass plain jobs by after two bytes.

// header is a record without its payload.
type header struct {
	priority int // 0 is served first
	key      string
	unique   string
	max      int   // attempts
	keep     int64 // ms that the done job is kept
	timeout  int64 // ms of an attempt; 0: none
	headers  string
}

// Sizes that the scripts accept.
const (
	maxKey      = 1024 // bytes of a key or unique key
	maxAttempts = 999999
	maxHeaders  = 16 << 10 // bytes of all headers, encoded
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
	if h.headers != "" {
		b = strconv.AppendInt(append(b, ','), int64(len(h.headers)), 10)
	}
	b = append(append(append(append(b, ';'), h.key...), h.unique...), h.headers...)
	return append(b, payload...)
}

// widths are how many digits each number may have. The last may be missing, with its comma.
var widths = [...]int{4, 4, 6, maxDigits, maxDigits, 5}

// parseHeader reads a record; ok is false if it is none.
func parseHeader(record string) (h header, payload string, ok bool) {
	if record == "" || record[0] < '0' || record[0] >= '0'+levels {
		return h, "", false
	}
	h.priority = int(record[0] - '0')
	var n [len(widths)]int64
	rest, stop := record[1:], byte(',')
	for i := 0; stop == ','; i++ {
		if i == len(widths) {
			return h, "", false
		}
		end := 0
		for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' && end <= widths[i] {
			n[i] = n[i]*10 + int64(rest[end]-'0')
			end++
		}
		if end == 0 || end > widths[i] || end == len(rest) {
			return h, "", false
		}
		stop, rest = rest[end], rest[end+1:]
		if stop != ',' && (stop != ';' || i < len(widths)-2) {
			return h, "", false
		}
	}
	keys := n[0] + n[1]
	if keys+n[5] > int64(len(rest)) {
		return h, "", false
	}
	h.key, h.unique, h.headers, payload = rest[:n[0]], rest[n[0]:keys], rest[keys:keys+n[5]], rest[keys+n[5]:]
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

// encodeHeaders writes each name and value after its length, sorted by name, so that equal headers are equal bytes.
func encodeHeaders(headers map[string]string) string {
	if len(headers) == 0 {
		return ""
	}
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		for _, s := range [...]string{name, headers[name]} {
			b = append(append(strconv.AppendInt(b, int64(len(s)), 10), ':'), s...)
		}
	}
	return string(b)
}

// decodeHeaders reads them as far as they can be read.
func decodeHeaders(text string) map[string]string {
	headers := map[string]string{}
	next := func() (string, bool) {
		length, rest, _ := strings.Cut(text, ":")
		n, ok := number(length)
		if !ok || n > int64(len(rest)) {
			return "", false
		}
		text = rest[n:]
		return rest[:n], true
	}
	for text != "" {
		name, ok1 := next()
		value, ok2 := next()
		if !ok1 || !ok2 {
			break
		}
		headers[name] = value
	}
	return headers
}
