package number

import (
	"strings"
	"testing"
)

func TestExtendedBounds(t *testing.T) {
	most, least := MaxExtended(false), MaxExtended(true)
	text := string(most.Append(nil))
	if len(text) != 4933 || !strings.HasPrefix(text, "118973149535723176502") {
		t.Errorf("the greatest extended has %d digits: %.30s", len(text), text)
	}
	if got := string(least.Append(nil)); got != "-"+text {
		t.Errorf("the least is %.30s", got)
	}
	if _, finite := most.Add(ExtendedInt(1)); !finite {
		t.Error("one more than the greatest rounds to it, and is finite")
	}
	if _, finite := most.Add(most); finite {
		t.Error("twice the greatest is finite")
	}
	if _, finite := least.Sub(most); finite {
		t.Error("the least less the greatest is finite")
	}
	var zero Extended
	if d, ok := zero.Sub(ExtendedInt(5)); !ok || d.Cmp(ExtendedInt(-5)) != 0 {
		t.Error("0 - 5 is not -5")
	}
	infinite, _ := ParseExtended([]byte("-inf"))
	if infinite.Cmp(least) != -1 || least.Cmp(most) != -1 || zero.Cmp(zero) != 0 || most.Cmp(zero) != 1 {
		t.Error("they are out of order")
	}
	if _, ok := zero.Sub(infinite); ok {
		t.Error("the difference to an infinity is finite")
	}
}
