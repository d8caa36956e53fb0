package script

import (
	"math"
	"math/bits"

	lua "github.com/yuin/gopher-lua"
)

const (
	maxIntSize = 32      // bytes of an integer that struct packs
	maxFormat  = 1 << 30 // bytes that a format may describe
)

func (st *state) openStruct() *lua.LTable {
	return st.L.SetFuncs(st.L.NewTable(), map[string]lua.LGFunction{
		"pack": structPack, "unpack": structUnpack, "size": structSize,
	})
}

// layout walks the format of struct.
type layout struct {
	l     *lua.LState
	f     string
	i     int
	big   bool
	align int
}

// next is the next option, its size, and how many bytes stand in front of it at a place. ok is false at the end.
func (y *layout) next(place int) (opt byte, size, pad int, ok bool) {
	if y.i >= len(y.f) || y.f[y.i] == 0 {
		return 0, 0, 0, false
	}
	opt = y.f[y.i]
	y.i++
	size = y.size(opt)
	if size > 0 && opt != 'c' {
		a := min(size, y.align)
		pad = (a - place&(a-1)) & (a - 1)
	}
	return opt, size, pad, true
}

func (y *layout) size(opt byte) int {
	switch opt {
	case 'B', 'b', 'x':
		return 1
	case 'H', 'h':
		return 2
	case 'L', 'l', 'T', 'd':
		return 8
	case 'f':
		return 4
	case 'c':
		return y.number(1)
	case 'i', 'I':
		n := y.number(4)
		if n > maxIntSize {
			y.l.RaiseError("integral size %d is larger than limit of %d", n, maxIntSize)
		}
		return n
	}
	return 0
}

func (y *layout) number(without int) int {
	if y.i >= len(y.f) || !isDigit(y.f[y.i]) {
		return without
	}
	n := 0
	for ; y.i < len(y.f) && isDigit(y.f[y.i]); y.i++ {
		if n = n*10 + int(y.f[y.i]-'0'); n > math.MaxInt32 {
			y.l.RaiseError("integral size overflow")
		}
	}
	return n
}

// control obeys the options that are no data.
func (y *layout) control(opt byte) {
	switch opt {
	case ' ':
	case '>', '<':
		y.big = opt == '>'
	case '!':
		n := y.number(8)
		if n <= 0 || n&(n-1) != 0 {
			y.l.RaiseError("alignment %d is not a power of 2", n)
		}
		y.align = n
	default:
		argError(y.l, 1, "invalid format option '"+string(rune(opt))+"'")
	}
}

func structPack(l *lua.LState) int {
	y := layout{l: l, f: checkText(l, 1), align: 1}
	var out []byte
	arg := 1
	for {
		opt, size, pad, ok := y.next(len(out))
		if !ok {
			break
		}
		checkSize(l, len(out)+pad+size)
		out = append(out, make([]byte, pad)...)
		switch opt {
		case 'b', 'B', 'h', 'H', 'l', 'L', 'T', 'i', 'I':
			arg++
			out = y.put(out, toUint(checkNumber(l, arg)), size)
		case 'x':
			out = append(out, 0)
		case 'f':
			arg++
			out = y.put(out, uint64(math.Float32bits(float32(checkNumber(l, arg)))), size)
		case 'd':
			arg++
			out = y.put(out, math.Float64bits(checkNumber(l, arg)), size)
		case 'c', 's':
			arg++
			s := checkText(l, arg)
			if size == 0 {
				size = len(s)
			}
			if len(s) < size {
				argError(l, arg+1, "string too short")
			}
			if out = append(out, s[:size]...); opt == 's' {
				out = append(out, 0)
			}
		default:
			y.control(opt)
		}
	}
	l.Push(lua.LString(out))
	return 1
}

// put appends the low bytes of a number.
func (y *layout) put(out []byte, n uint64, size int) []byte {
	start := len(out)
	for range size {
		out = append(out, byte(n))
		n >>= 8
	}
	if y.big {
		for i, j := start, len(out)-1; i < j; i, j = i+1, j-1 {
			out[i], out[j] = out[j], out[i]
		}
	}
	return out
}

// get reads the low bytes of a number.
func (y *layout) get(s string) (n uint64) {
	for i := range len(s) {
		c := s[len(s)-1-i]
		if y.big {
			c = s[i]
		}
		n = n<<8 | uint64(c)
	}
	return n
}

func structUnpack(l *lua.LState) int {
	y := layout{l: l, f: checkText(l, 1), align: 1}
	data, pos := checkText(l, 2), optInt(l, 3, 1)
	if pos <= 0 {
		argError(l, 3, "offset must be 1 or greater")
	}
	pos--
	var values []lua.LValue
	for {
		opt, size, pad, ok := y.next(pos)
		if !ok {
			break
		}
		pos += pad
		if size > len(data) || pos > len(data)-size {
			argError(l, 2, "data string too short")
		}
		if len(values) >= maxResults {
			l.RaiseError("stack overflow (too many results)")
		}
		switch opt {
		case 'b', 'B', 'h', 'H', 'l', 'L', 'T', 'i', 'I':
			n := y.get(data[pos : pos+size])
			if opt >= 'a' {
				values = append(values, lua.LNumber(extend(n, size)))
			} else {
				values = append(values, lua.LNumber(n))
			}
		case 'x':
		case 'f':
			values = append(values, lua.LNumber(math.Float32frombits(uint32(y.get(data[pos:pos+size])))))
		case 'd':
			values = append(values, lua.LNumber(math.Float64frombits(y.get(data[pos:pos+size]))))
		case 'c':
			if size == 0 {
				values, size = counted(l, values)
				if size > len(data) || pos > len(data)-size {
					argError(l, 2, "data string too short")
				}
			}
			values = append(values, lua.LString(data[pos:pos+size]))
		case 's':
			size = 0
			for pos+size < len(data) && data[pos+size] != 0 {
				size++
			}
			if pos+size >= len(data) {
				l.RaiseError("unfinished string in data")
			}
			values = append(values, lua.LString(data[pos:pos+size]))
			size++
		default:
			y.control(opt)
		}
		pos += size
	}
	for _, v := range values {
		l.Push(v)
	}
	l.Push(lua.LNumber(pos + 1))
	return len(values) + 1
}

// extend gives a number of some bytes its sign.
func extend(n uint64, size int) int64 {
	if shift := bits.UintSize - 8*size; shift > 0 {
		return int64(n<<shift) >> shift
	}
	return int64(n)
}

// counted takes the number unpacked last off the values: the size of a string.
func counted(l *lua.LState, values []lua.LValue) ([]lua.LValue, int) {
	if len(values) > 0 {
		if f, ok := numberOf(values[len(values)-1]); ok && f >= 0 {
			return values[:len(values)-1], min(toInt(f), maxFormat)
		}
	}
	l.RaiseError("format 'c0' needs a previous size")
	return nil, 0
}

func structSize(l *lua.LState) int {
	y := layout{l: l, f: checkText(l, 1), align: 1}
	pos := 0
	for {
		opt, size, pad, ok := y.next(pos)
		if !ok {
			break
		}
		switch {
		case opt == 's':
			argError(l, 1, "option 's' has no fixed size")
		case opt == 'c' && size == 0:
			argError(l, 1, "option 'c0' has no fixed size")
		case !isLetter(opt) && !isDigit(opt):
			y.control(opt)
		}
		pos += pad + size
	}
	l.Push(lua.LNumber(pos))
	return 1
}
