package server

// When a client is put on hold because it is owed too much (see the package comment), in bytes.
const (
	pauseAt      = 64 << 20
	pauseCrowded = 1 << 20
	crowded      = 256 << 20
)

// outChunk is the size of the pieces in which unsent output is kept. A larger rest of a reply is kept as it is.
const outChunk = 16 << 10

// output is a queue of bytes that the peer has not taken yet. The zero value is empty and holds no memory.
type output struct {
	chunks [][]byte // none of them empty
	size   int
}

// add appends b and reports whether it has kept b itself: the caller must then not use it again.
func (o *output) add(b []byte) (kept bool) {
	o.size += len(b)
	if n := len(o.chunks); n > 0 {
		last := o.chunks[n-1]
		fits := min(cap(last)-len(last), len(b))
		o.chunks[n-1] = append(last, b[:fits]...)
		b = b[fits:]
	}
	switch {
	case len(b) == 0:
		return false
	case len(b) >= outChunk && cap(b) <= 2*len(b):
		o.chunks = append(o.chunks, b)
		return true
	case len(b) >= outChunk:
		o.chunks = append(o.chunks, append([]byte(nil), b...))
		return false
	}
	o.chunks = append(o.chunks, append(make([]byte, 0, outChunk), b...))
	return false
}

// first is the oldest chunk, or nil.
func (o *output) first() []byte {
	if len(o.chunks) == 0 {
		return nil
	}
	return o.chunks[0]
}

// sent takes n bytes off the first chunk.
func (o *output) sent(n int) {
	o.size -= n
	if n < len(o.chunks[0]) {
		o.chunks[0] = o.chunks[0][n:]
		return
	}
	o.chunks[0] = nil
	o.chunks = o.chunks[1:]
	if len(o.chunks) == 0 {
		o.chunks = nil
	}
}
