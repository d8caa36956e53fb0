package jsondoc

import (
	"encoding/binary"
	"math"
	"slices"
)

// Limits of a document.
const (
	MaxSize  = 512 << 20 // bytes of the encoding
	MaxDepth = 1024      // arrays and objects within each other, however they got there

	maxTextDepth = 127 // of a text
)

// builder writes values. An array or object is written with narrow figures first and widened as soon as its contents
// do not fit, when there is little to move.
type builder struct {
	buf    []byte
	frames []frame
	edge   int // len(buf) up to which the figures of all frames suffice
	hashes []uint64
	over   bool // MaxSize was passed: what is there is of no use
}

// frame is an array or object that is not complete.
type frame struct {
	at     int
	w      int // bytes of each figure
	count  int
	outer  int // edge without it
	names  int // where in hashes those of its members begin
	object bool
}

const noEdge = math.MaxInt

func newBuilder(buf []byte) builder { return builder{buf: buf, edge: noEdge} }

// edgeOf is how long the buffer may be while a frame's figures suffice.
func (f *frame) edgeOf() int {
	if f.w == 4 {
		return noEdge
	}
	return f.body() + 1<<(8*f.w) - 1
}

// body is where the contents begin.
func (f *frame) body() int { return f.at + 1 + 2*f.w }

// need makes room in all figures for n bytes more.
func (b *builder) need(n int) {
	switch {
	case b.over || len(b.buf)+n > MaxSize:
		b.over = true
		b.buf = b.buf[:0]
	case len(b.buf)+n > b.edge:
		b.widen(n)
	}
}

// widen gives frames wider figures, from the outermost in, where the contents do not fit.
func (b *builder) widen(n int) {
	b.edge = noEdge
	for i := range b.frames {
		f := &b.frames[i]
		f.outer = b.edge
		for len(b.buf)+n > f.edgeOf() {
			more := 2 * f.w // each of two figures is twice as wide
			b.buf = slices.Insert(b.buf, f.at+1, make([]byte, more)...)
			f.w *= 2
			for j := i + 1; j < len(b.frames); j++ {
				b.frames[j].at += more
			}
		}
		b.edge = min(b.edge, f.edgeOf())
	}
}

// value counts a value that is n bytes long and comes next.
func (b *builder) value(n int) {
	if len(b.frames) > 0 {
		if f := &b.frames[len(b.frames)-1]; !f.object {
			f.count++
		}
	}
	b.need(n)
}

func (b *builder) open(object bool) {
	b.value(3)
	f := frame{at: len(b.buf), w: 1, outer: b.edge, names: len(b.hashes), object: object}
	b.frames = append(b.frames, f)
	b.buf = append(b.buf, 0, 0, 0)
	b.edge = min(b.edge, f.edgeOf())
}

func (b *builder) close() {
	f := b.frames[len(b.frames)-1]
	b.frames = b.frames[:len(b.frames)-1]
	b.edge = f.outer
	if b.over {
		return
	}
	tag := tagArray8
	if f.object {
		tag = tagObject8
	}
	for w := f.w; w > 1; w /= 2 {
		tag++
	}
	b.buf[f.at] = tag
	putFigure(b.buf[f.at+1:], f.w, len(b.buf)-f.body())
	putFigure(b.buf[f.at+1+f.w:], f.w, f.count)
}

// closeParsed closes an object of whose members parse noted the hashes: of those with one name the first gives the place
// and the last the value.
func (b *builder) closeParsed() {
	f := b.frames[len(b.frames)-1]
	hashes := b.hashes[f.names:]
	b.close()
	slices.Sort(hashes)
	for i := 1; i < len(hashes) && !b.over; i++ {
		if hashes[i] == hashes[i-1] {
			b.unique(f.at)
			break
		}
	}
	b.hashes = b.hashes[:f.names]
}

// unique rids the object at the end of the buffer of members that have the name of a later one.
func (b *builder) unique(at int) {
	last := make(map[string]Node)
	n := Node{slices.Clone(b.buf[at:]), 0}
	n.Members(func(name []byte, v Node) bool { last[string(name)] = v; return true })
	if len(last) == n.Len() {
		return // the hashes were equal by chance
	}
	clean := newBuilder(b.buf[:at:at])
	clean.open(true)
	n.Members(func(name []byte, _ Node) bool {
		if v, ok := last[string(name)]; ok {
			delete(last, string(name))
			clean.key(name)
			clean.raw(v.raw())
		}
		return true
	})
	clean.close()
	b.buf = append(b.buf[:at], clean.buf[at:]...)
}

// key writes the name of a member, whose value comes next.
func (b *builder) key(name []byte) {
	b.frames[len(b.frames)-1].count++
	b.need(len(name) + 5)
	b.buf = appendString(b.buf, name)
}

// raw writes a value that is encoded.
func (b *builder) raw(v []byte) {
	b.value(len(v))
	b.buf = append(b.buf, v...)
}

func (b *builder) tag(t byte) {
	b.value(1)
	b.buf = append(b.buf, t)
}

func (b *builder) int(v int64) {
	b.value(9)
	b.buf = appendInt(b.buf, v)
}

func (b *builder) uint(v uint64) {
	b.value(9)
	b.buf = appendUint(b.buf, v)
}

func (b *builder) float(v float64) {
	b.value(9)
	b.buf = appendFloat(b.buf, v)
}

func (b *builder) string(s []byte) {
	b.value(len(s) + 5)
	b.buf = appendString(b.buf, s)
}

func appendInt(dst []byte, v int64) []byte {
	switch {
	case v >= 0 && v <= maxTiny:
		return append(dst, tagInt|byte(v))
	case v == int64(int8(v)):
		return append(dst, tagInt8, byte(v))
	case v == int64(int16(v)):
		return binary.LittleEndian.AppendUint16(append(dst, tagInt16), uint16(v))
	case v == int64(int32(v)):
		return binary.LittleEndian.AppendUint32(append(dst, tagInt32), uint32(v))
	}
	return binary.LittleEndian.AppendUint64(append(dst, tagInt64), uint64(v))
}

func appendUint(dst []byte, v uint64) []byte {
	if v <= math.MaxInt64 {
		return appendInt(dst, int64(v))
	}
	return binary.LittleEndian.AppendUint64(append(dst, tagUint64), v)
}

func appendFloat(dst []byte, v float64) []byte {
	if float64(float32(v)) == v {
		return binary.LittleEndian.AppendUint32(append(dst, tagFloat32), math.Float32bits(float32(v)))
	}
	return binary.LittleEndian.AppendUint64(append(dst, tagFloat64), math.Float64bits(v))
}

func appendString(dst, s []byte) []byte {
	switch n := len(s); {
	case n <= maxShort:
		dst = append(dst, tagString|byte(n))
	case n < 1<<8:
		dst = append(dst, tagString8, byte(n))
	case n < 1<<16:
		dst = binary.LittleEndian.AppendUint16(append(dst, tagString16), uint16(n))
	default:
		dst = binary.LittleEndian.AppendUint32(append(dst, tagString32), uint32(n))
	}
	return append(dst, s...)
}
