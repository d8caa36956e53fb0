package metrics

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// kind is a metric's type, in the words of the format.
type kind string

const (
	gauge     kind = "gauge"
	counter   kind = "counter"
	summary   kind = "summary"
	histogram kind = "histogram"
)

// mostSeries bounds the samples of a metric, whatever a server says.
const mostSeries = 4096

// page is what one scrape found. A page that is being written does not change.
type page struct {
	families map[string]*family
	dropped  int
}

// family is a metric with all its samples.
type family struct {
	name, help string
	kind       kind
	samples    []sample
	seen       map[string]bool // sets of labels
}

// sample is a line. bound is le or quantile, and is its own field since the two formats write it differently.
type sample struct {
	suffix string // _sum, _count, _bucket
	labels []Label
	bound  string // name of the label
	at     float64
	value  float64
}

func newPage() *page { return &page{families: make(map[string]*family)} }

// family is the metric of a name; nil where that is not a name.
func (p *page) family(name, help string, k kind) *family {
	f := p.families[name]
	if f == nil {
		if !isName(name, true) {
			return nil
		}
		f = &family{name: name, help: help, kind: k, seen: make(map[string]bool)}
		p.families[name] = f
	}
	return f
}

// add enters a value with labels, of which names and values alternate.
func (p *page) add(name, help string, k kind, value float64, labels ...string) {
	list := make([]Label, 0, len(labels)/2)
	for i := 0; i+1 < len(labels); i += 2 {
		list = append(list, Label{labels[i], labels[i+1]})
	}
	p.enter(name, help, k, list, sample{value: value})
}

// enter adds the samples of one set of labels, all of them or none.
func (p *page) enter(name, help string, k kind, labels []Label, samples ...sample) {
	f := p.family(name, help, k)
	key, ok := keyOf(labels)
	if f == nil || !ok || f.kind != k || f.seen[key] || len(f.samples)+len(samples) > mostSeries {
		p.dropped++
		return
	}
	f.seen[key] = true
	for _, s := range samples {
		s.labels = labels
		f.samples = append(f.samples, s)
	}
}

// keyOf is a set of labels as it will be written; false where that is not allowed.
func keyOf(labels []Label) (key string, ok bool) {
	var b bytes.Buffer
	for i, l := range labels {
		if !isName(l.Name, false) || strings.HasPrefix(l.Name, "__") || l.Name == "le" || l.Name == "quantile" ||
			slices.ContainsFunc(labels[:i], func(o Label) bool { return o.Name == l.Name }) {
			return "", false
		}
		putLabel(&b, l.Name, l.Value)
	}
	return b.String(), true
}

func isName(s string, colon bool) bool {
	for i, c := range []byte(s) {
		if c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9' || i == 0) && (c != ':' || !colon) {
			return false
		}
	}
	return s != ""
}

// write writes the text format, or OpenMetrics. In that, a counter's samples end in _total, and its name does not.
func (p *page) write(b *bytes.Buffer, open bool) {
	names := make([]string, 0, len(p.families))
	for name := range p.families {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		f := p.families[name]
		if len(f.samples) == 0 {
			continue
		}
		if open && f.kind == counter {
			name = strings.TrimSuffix(name, "_total")
			if p.families[name] != nil && name != f.name {
				continue // it would be there twice
			}
		}
		b.WriteString("# HELP " + name + " " + escape(f.help, open) + "\n# TYPE " + name + " " + string(f.kind) + "\n")
		for i := range f.samples {
			f.samples[i].write(b, name, f, open)
		}
	}
	if open {
		b.WriteString("# EOF\n")
	}
}

func (s *sample) write(b *bytes.Buffer, name string, f *family, open bool) {
	b.WriteString(name + s.suffix)
	if open && f.kind == counter {
		b.WriteString("_total")
	}
	if len(s.labels) > 0 || s.bound != "" {
		b.WriteByte('{')
		for _, l := range s.labels {
			putLabel(b, l.Name, l.Value)
		}
		if s.bound != "" {
			at := formatFloat(s.at)
			if open && !strings.ContainsAny(at, ".eIN") {
				at += ".0"
			}
			putLabel(b, s.bound, at)
		}
		b.Truncate(b.Len() - 1) // the last comma
		b.WriteByte('}')
	}
	b.WriteString(" " + formatFloat(s.value) + "\n")
}

func putLabel(b *bytes.Buffer, name, value string) {
	b.WriteString(name + `="` + escape(legible(value), true) + `",`)
}

// legible is a value as UTF-8. Bytes that are none are written as Go writes them, so that values stay apart.
func legible(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	q := strconv.Quote(s)
	return q[1 : len(q)-1]
}

func escape(s string, quotes bool) string {
	pairs := []string{`\`, `\\`, "\n", `\n`}
	if quotes {
		pairs = append(pairs, `"`, `\"`)
	}
	if !strings.ContainsAny(s, "\\\n\"") {
		return s
	}
	return strings.NewReplacer(pairs...).Replace(s)
}

func formatFloat(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "+Inf"
	case math.IsInf(f, -1):
		return "-Inf"
	case math.IsNaN(f):
		return "NaN"
	case f == math.Trunc(f) && math.Abs(f) < 1e15:
		return strconv.FormatInt(int64(f), 10)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}
