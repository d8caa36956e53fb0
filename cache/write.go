package cache

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/klauspost/compress/s2"
)

// encode appends an entry to dst and says how long it may live. With a cause, which is ErrNotFound, it is a remembered
// absence. took is what the load cost.
func (c *Cache[T]) encode(ctx context.Context, dst []byte, v *T, cause error, now *epochs, took time.Duration) (entry []byte, ttl time.Duration, err error) {
	if ttl = c.jitter(c.o.TTL); cause != nil {
		ttl = c.jitter(c.o.NegativeTTL)
	}
	start := len(dst)
	dst = append(dst, c.header[:]...)
	binary.BigEndian.PutUint64(dst[start+clearAt:], now.clear)
	if c.timed {
		dst[start+flagsAt] |= flagTimes
		fresh := c.storeNow(ctx) + ttl.Milliseconds()
		dst = append(dst, make([]byte, freshAt-tokenAt)...) // no lease
		dst = binary.BigEndian.AppendUint64(dst, uint64(fresh))
		dst = binary.BigEndian.AppendUint32(dst, uint32(min(max(took.Milliseconds(), 0), math.MaxUint32)))
	}
	if len(now.tags) > 0 {
		dst[start+flagsAt] |= flagTags
		dst = append(append(dst, byte((len(now.tags)-4)/8)), now.tags...)
	}
	if cause != nil {
		dst[start+flagsAt] |= flagAbsent
		return dst, ttl, nil //nolint:nilerr // the cause is what the entry says
	}
	at := len(dst)
	if dst, err = c.append(dst, v); err != nil {
		return dst, 0, fmt.Errorf("encode: %w", err)
	}
	if c.o.CompressAbove > 0 && len(dst)-at > c.o.CompressAbove {
		dst = c.squeeze(dst, start, at)
	}
	return dst, ttl + c.grace, nil
}

// append keeps a codec's panic from its caller, and from all who wait for the same flight.
func (c *Cache[T]) append(dst []byte, v *T) (entry []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			entry, err = dst, fmt.Errorf("the codec panicked: %v", p)
		}
	}()
	return c.codec.Append(dst, v)
}

// maxExpanded is the largest value that is compressed: what is read must not make a reader take more memory than that.
const maxExpanded = 64 << 20 // bytes

// squeeze compresses the payload that begins at dst[at:], of the entry at dst[start:], if that saves an eighth.
func (c *Cache[T]) squeeze(dst []byte, start, at int) []byte {
	payload := dst[at:]
	if len(payload) > maxExpanded {
		return dst
	}
	buf, _ := c.buffers.Get().(*[]byte)
	defer c.giveBack(buf)
	if most := s2.MaxEncodedLen(len(payload)); cap(*buf) < most {
		*buf = make([]byte, most)
	}
	small := s2.Encode((*buf)[:cap(*buf)], payload)
	if len(small) > len(payload)-len(payload)/8 {
		return dst
	}
	dst[start+flagsAt] |= flagCompressed
	return append(dst[:at], small...)
}

var errTooLarge = errors.New("a compressed value of more than 64 MiB")

// expand undoes squeeze. buf is used where it suffices.
func expand(buf, small []byte) ([]byte, error) {
	n, err := s2.DecodedLen(small)
	if err != nil {
		return buf, err
	}
	if n > maxExpanded {
		return buf, errTooLarge
	}
	return s2.Decode(buf, small)
}

// parseTime reads the answer of TIME as Unix nanoseconds.
func parseTime(parts []string) (ns int64, ok bool) {
	if len(parts) != 2 {
		return 0, false
	}
	s, err := strconv.ParseInt(parts[0], 10, 64)
	us, err2 := strconv.ParseInt(parts[1], 10, 64)
	return s*int64(time.Second) + us*int64(time.Microsecond), err == nil && err2 == nil
}
