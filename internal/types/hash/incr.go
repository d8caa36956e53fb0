package hash

import (
	"errors"
	"math"

	"github.com/larderdb/larder/internal/mem/packed"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/number"
)

// Refusals of the increments. The hash is left as it was.
var (
	ErrNotInteger = errors.New("hash value is not an integer")
	ErrOverflow   = errors.New("increment or decrement would overflow")
	ErrNotFloat   = errors.New("hash value is not a float")
	ErrNotFinite  = errors.New("increment would produce NaN or Infinity")
)

// IncrBy adds delta to a field, which counts as 0 if there is none, and returns
// the sum. The field keeps its expiry. ErrNotInteger, ErrOverflow. O(1).
func IncrBy(e *table.Entry, lim Limits, field []byte, delta int64) (int64, error) {
	n := int64(0)
	if v, exists := Get(e, field); exists {
		var ok bool
		if n, ok = integer(v); !ok {
			return 0, ErrNotInteger
		}
	}
	if delta < 0 && n < math.MinInt64-delta || delta > 0 && n > math.MaxInt64-delta {
		return 0, ErrOverflow
	}
	n += delta
	var buf [number.MaxIntLen]byte
	Update(e, lim, field, number.AppendInt(buf[:0], n))
	return n, nil
}

// IncrByFloat adds delta, which is finite, to a field, which counts as 0 if there
// is none. It appends the sum, as it is stored, to dst. The field
// keeps its expiry. ErrNotFloat, ErrNotFinite. O(1).
func IncrByFloat(e *table.Entry, lim Limits, field []byte, delta number.Extended, dst []byte) ([]byte, error) {
	var sum number.Extended
	if v, exists := Get(e, field); exists {
		var ok bool
		if sum, ok = extended(v); !ok {
			return dst, ErrNotFloat
		}
	}
	sum, ok := sum.Add(delta)
	if !ok {
		return dst, ErrNotFinite
	}
	start := len(dst)
	dst = sum.Append(dst)
	Update(e, lim, field, dst[start:])
	return dst, nil
}

func integer(v packed.Value) (int64, bool) {
	if n, ok := v.Int(); ok {
		return n, true
	}
	return number.ParseInt(v.Bytes())
}

func extended(v packed.Value) (number.Extended, bool) {
	if n, ok := v.Int(); ok {
		return number.ExtendedInt(n), true
	}
	return number.ParseExtended(v.Bytes())
}
