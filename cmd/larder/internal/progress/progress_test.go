package progress

import (
	"bytes"
	"strings"
	"testing"
)

func TestWithoutTerminal(t *testing.T) {
	var b bytes.Buffer
	p := New(&b, "filling")
	for i := range 101 {
		p.Update(float64(i)/100, "rows")
	}
	p.Finish()
	if got := b.String(); strings.Count(got, "\n") != 4 || !strings.Contains(got, "100 %  rows") || strings.Contains(got, "\r") {
		t.Error(got)
	}
}

func TestOnTerminal(t *testing.T) {
	var b bytes.Buffer
	p := Bar{w: &b, terminal: true, label: "filling"}
	p.Update(0.5, "rows")
	p.Finish()
	if got := b.String(); !strings.HasPrefix(got, "\r") || strings.Count(got, "█") != barWidth/2 || !strings.Contains(got, " 50 %") {
		t.Errorf("%q", got)
	}
}
