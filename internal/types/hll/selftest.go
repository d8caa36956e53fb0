package hll

import (
	"encoding/binary"
	"fmt"
	"math"
)

// SelfTest checks that registers keep what is put into them, that both encodings give the
// same estimates, and that these are within six standard errors, up to a million elements.
// The seed makes runs differ. It takes some tens of milliseconds.
func SelfTest(seed uint64) error {
	const limit = 3000
	if err := testRegisters(seed); err != nil {
		return err
	}
	sparse := AppendEmpty(nil)
	dense := Dense(nil, sparse)
	var element [8]byte
	for n, check := uint64(1), uint64(1); n <= 1_000_000; n++ {
		binary.LittleEndian.PutUint64(element[:], n^seed)
		sparse, _, _ = Add(sparse, element[:], limit) // never corrupt
		dense, _, _ = Add(dense, element[:], limit)
		if n != check {
			continue
		}
		check *= 10
		got, _ := Estimate(dense)
		if other, ok := Estimate(sparse); !ok || other != got {
			return fmt.Errorf("TESTFAILED dense/sparse disagree: %d %d of %d", got, other, n)
		}
		if n < limit/4 && !IsSparse(sparse) {
			return fmt.Errorf("TESTFAILED sparse encoding not used for %d", n)
		}
		if off, most := math.Abs(float64(got)-float64(n)), math.Ceil(6*1.04/128*float64(n)); off > most {
			return fmt.Errorf("TESTFAILED Too big error. card:%d abserr:%g", n, off)
		}
	}
	return nil
}

func testRegisters(seed uint64) error {
	var want Union
	r := make([]byte, DenseLen-headerLen)
	for round := range 10 {
		for i := range want {
			seed = seed*6364136223846793005 + 1442695040888963407
			want[i] = uint8(seed >> 58)
			putDense(r, i, want[i])
		}
		for i, rank := range want {
			if got := getDense(r, i); got != rank {
				return fmt.Errorf("TESTFAILED Register %d should be %d but is %d, round %d", i, rank, got, round)
			}
		}
	}
	return nil
}
