package top

import (
	"encoding/json"
	"math"
	"testing"
)

func TestNumbersAsShown(t *testing.T) {
	for _, c := range []struct {
		got, want string
	}{
		{Num{}.count(), "-"}, {Num{}.bytes(), "-"}, {Num{}.percent(), "-"}, {Num{}.micros(), "-"}, {Num{}.span(), "-"}, {Num{}.times(), "-"},
		{num(0).count(), "0"}, {num(0.25).count(), "0.2"}, {num(9.96).count(), "10.0"}, {num(9999).count(), "9999"}, {num(10000).count(), "10.0k"},
		{num(999_999).count(), "1.00M"}, {num(1.5e6).count(), "1.50M"}, {num(9.2e18).count(), "9.20E"}, {num(1e30).count(), "1000000000000E"},
		{num(0).bytes(), "0B"}, {num(1023).bytes(), "1023B"}, {num(1024).bytes(), "1.00K"}, {num(1 << 20).bytes(), "1.00M"}, {num(512 << 20).bytes(), "512M"},
		{num(0).percent(), "0%"}, {num(0.9999).percent(), "100%"}, {num(0.123).percent(), "12.3%"}, {num(1.43).percent(), "143%"},
		{num(3).micros(), "3.0us"}, {num(250).micros(), "250us"}, {num(1500).micros(), "1.50ms"}, {num(2.5e6).micros(), "2.50s"},
		{num(59).span(), "59s"}, {num(61).span(), "1m01s"}, {num(3725).span(), "1h02m"}, {num(90000).span(), "1d01h"},
		{num(1.386).times(), "1.39x"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if n := maybe(bad, true); n.OK {
			t.Errorf("%v is a figure", bad)
		}
	}
	out, err := json.Marshal([]Num{{}, num(1.23456), num(1e15), num(0)})
	if err != nil || string(out) != "[null,1.235,1000000000000000,0]" {
		t.Errorf("JSON %s %v", out, err)
	}
}
