package table

import (
	"bytes"
	"fmt"
	"math/bits"
	"testing"
)

func TestHashSpreads(t *testing.T) {
	if Hash(1, []byte("a")) == Hash(2, []byte("a")) {
		t.Fatal("the seed plays no part")
	}
	seen := map[uint64]string{}
	for n := range 70 {
		for _, fill := range []byte{0, 1, 'k', 255} {
			key := bytes.Repeat([]byte{fill}, n)
			h := Hash(5, key)
			if n > 0 && seen[h] != "" {
				t.Fatalf("%d times %#x has the hash of %s", n, fill, seen[h])
			}
			seen[h] = fmt.Sprintf("%d times %#x", n, fill)
			for i := range 8 * n { // a flipped bit changes about half the bits of the hash
				key[i/8] ^= 1 << (i % 8)
				if d := bits.OnesCount64(h ^ Hash(5, key)); d < 8 || d > 56 {
					t.Fatalf("%d times %#x: flipping bit %d changes %d bits", n, fill, i, d)
				}
				key[i/8] ^= 1 << (i % 8)
			}
		}
	}
	var ones [64]int
	for i := range 100000 {
		for h, bit := Hash(5, numbered(i)), 0; h != 0; h, bit = h>>1, bit+1 {
			ones[bit] += int(h & 1)
		}
	}
	for bit, n := range ones {
		if n < 49000 || n > 51000 {
			t.Errorf("bit %d is set in %d of 100000 hashes", bit, n)
		}
	}
}

func TestHashStaysTheSame(t *testing.T) {
	sum := uint64(0)
	for n := range 100 {
		sum = sum*31 + Hash(uint64(n), bytes.Repeat([]byte{byte(n)}, n))
	}
	const want = 0xa2d90449bfdf23b9
	if sum != want {
		t.Fatalf("hashes have changed: sum %#x, want %#x", sum, uint64(want))
	}
}
