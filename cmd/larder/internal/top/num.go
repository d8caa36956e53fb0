package top

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Num is a figure that may be unknown. The zero Num is.
type Num struct {
	V  float64
	OK bool
}

func num(v float64) Num { return Num{v, true} }

func maybe(v float64, ok bool) Num {
	if !ok || math.IsNaN(v) || math.IsInf(v, 0) {
		return Num{}
	}
	return Num{v, true}
}

func ratio(a, b Num) Num { return maybe(a.V/b.V, a.OK && b.OK && b.V > 0) }

// minus is a-b, and not below zero: figures of one INFO are not taken in one instant.
func minus(a, b Num) Num { return maybe(max(a.V-b.V, 0), a.OK && b.OK) }

// plus adds what is known of both.
func plus(a, b Num) Num { return Num{a.V + b.V, a.OK || b.OK} }

// MarshalJSON writes null for an unknown figure, and three decimals at the most.
func (n Num) MarshalJSON() ([]byte, error) {
	if !n.OK {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, math.Round(n.V*1000)/1000, 'f', -1, 64), nil
}

const dash = "-"

// count shows how many: 999, 12.3k, 4.56M.
func (n Num) count() string {
	switch v := n.V; {
	case !n.OK:
		return dash
	case v < 10 && v != math.Trunc(v):
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v < 9999.5:
		return strconv.FormatFloat(v, 'f', 0, 64)
	default:
		return scaled(v, 1000, []string{"", "k", "M", "G", "T", "P", "E"})
	}
}

// bytes shows an amount of memory: 512B, 1.50K, 23.5G. Units are powers of 1024, as in INFO.
func (n Num) bytes() string {
	if !n.OK {
		return dash
	}
	return scaled(n.V, 1024, []string{"B", "K", "M", "G", "T", "P", "E"})
}

func (n Num) percent() string {
	switch {
	case !n.OK:
		return dash
	case n.V > 0.9995 || n.V == 0:
		return strconv.FormatFloat(n.V*100, 'f', 0, 64) + "%"
	}
	return strconv.FormatFloat(n.V*100, 'f', 1, 64) + "%"
}

// micros shows microseconds as a duration of three digits.
func (n Num) micros() string {
	switch v := n.V; {
	case !n.OK:
		return dash
	case v < 9.95:
		return strconv.FormatFloat(v, 'f', 1, 64) + "us"
	case v < 999.5:
		return strconv.FormatFloat(v, 'f', 0, 64) + "us"
	case v < 999.5e3:
		return digits3(v/1e3) + "ms"
	default:
		return digits3(v/1e6) + "s"
	}
}

func (n Num) times() string {
	if !n.OK {
		return dash
	}
	return strconv.FormatFloat(n.V, 'f', 2, 64) + "x"
}

// span shows seconds as the two largest units: 3d4h, 5m12s.
func (n Num) span() string {
	if !n.OK {
		return dash
	}
	s := int64(n.V)
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s%86400/3600)
}

func seconds(d time.Duration) Num { return num(d.Seconds()) }

func scaled(v, unit float64, names []string) string {
	i := 0
	for ; v >= unit-0.5 && i < len(names)-1; i++ {
		v /= unit
	}
	if i == 0 {
		return strconv.FormatFloat(v, 'f', 0, 64) + names[0]
	}
	return digits3(v) + names[i]
}

func digits3(v float64) string {
	switch {
	case v < 9.995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case v < 99.95:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}
