package storetest

import (
	"math/rand/v2"
	"os"
	"strconv"
)

// Seeds gives n seeds for random rounds, or the one that LARDER_SEED names. A test prints the seed of a round that fails.
func Seeds(n int) []uint64 {
	if s, err := strconv.ParseUint(os.Getenv("LARDER_SEED"), 10, 64); err == nil {
		return []uint64{s}
	}
	out := make([]uint64, n)
	for i := range out {
		out[i] = rand.Uint64()
	}
	return out
}
