package arena

import "math/bits"

const (
	granule   = 4         // bytes between two refs
	pageSize  = 4 << 10   // bytes
	chunkSize = 256 << 10 // bytes
	pages     = chunkSize / pageSize

	maxFine = 128       // bytes: up to here every multiple of a granule is a class
	maxSlab = 32 << 10  // bytes: up to here several cells share a slab
	maxCell = 128 << 10 // bytes: up to here a cell lies in a shared chunk
	maxHuge = 3 << 29   // bytes: what one mapping may be asked to hold

	fineClasses  = maxFine / granule
	ratioClasses = 8 * 16 // sixteen steps in each of the eight doublings from maxFine to maxSlab
	runClasses   = (maxCell - maxSlab) / pageSize
	numClasses   = fineClasses + ratioClasses + runClasses
)

// class is what is known of a size class before any cell of it exists.
type class struct {
	size uint32
	// run is how many pages a slab takes while the class is small, middling and large.
	run [3]uint8
}

// classes is the table of all size classes; it is never written again.
var classes = makeClasses()

func makeClasses() (cs [numClasses]class) {
	for k := range cs {
		size := classSize(k)
		cs[k] = class{size: uint32(size), run: [3]uint8{slabPages(size, 1), slabPages(size, 4), slabPages(size, 16)}}
	}
	return cs
}

// classSize is the size in bytes of class k.
func classSize(k int) int {
	switch {
	case k < fineClasses:
		return (k + 1) * granule
	case k < fineClasses+ratioClasses:
		k -= fineClasses
		doubling, step := k/16, k%16
		return maxFine<<doubling + (step+1)*(maxFine/16)<<doubling
	default:
		return maxSlab + (k-fineClasses-ratioClasses+1)*pageSize
	}
}

// classOf is the class of cells that hold n bytes, 0 < n <= maxCell.
func classOf(n int) int {
	switch {
	case n <= maxFine:
		return (n - 1) / granule
	case n <= maxSlab:
		m := uint(n - 1)
		e := bits.Len(m) // 8 for 129..256 bytes
		return fineClasses + (e-8)*16 + int(m>>(e-5)) - 16
	default:
		return fineClasses + ratioClasses + (n-maxSlab-1)/pageSize
	}
}

// slabPages is the number of pages, at least least, of a slab whose unusable end is small (1/32) for cells of size
// bytes, or the best there is.
func slabPages(size, least int) uint8 {
	if size > maxSlab {
		return uint8(size / pageSize)
	}
	best, bestWaste := 0, 1.0
	for p := max(least, (size+pageSize-1)/pageSize); p <= 32; p++ {
		waste := float64(p*pageSize%size) / float64(p*pageSize)
		if waste <= 1.0/32 {
			return uint8(p)
		}
		if waste < bestWaste {
			best, bestWaste = p, waste
		}
	}
	return uint8(best)
}

// hugeSize is the length in bytes of the mapping for a cell of n > maxCell bytes: 3 to 6 % more than is asked, so that
// a value that grows by small appends moves seldom. Pages nobody writes cost nothing.
func hugeSize(n int) int {
	step := max(pageSize, 1<<(bits.Len(uint(n-1))-5))
	return (n + step - 1) / step * step
}

// Capacity returns the size in bytes of the cell that Alloc(n) gives: a value may grow up to it in place. O(1).
func Capacity(n int) int {
	if n > maxCell {
		return hugeSize(n)
	}
	return int(classes[classOf(max(n, 1))].size)
}
