package metrics_test

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A strict reader of the two formats: whatever it lets pass, Prometheus reads.

var (
	nameForm  = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	labelForm = regexp.MustCompile(`^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(,|$)`)
)

type metric struct {
	kind    string
	samples map[string]float64 // suffix{labels}, labels as they stand
	order   []string
}

type exposition map[string]*metric

// value is a sample by its whole name: redis_db_keys{db="db0"}.
func (e exposition) value(t *testing.T, name string) float64 {
	t.Helper()
	base, labels, _ := strings.Cut(name, "{")
	if labels != "" {
		labels = "{" + labels
	}
	if m := e[base]; m != nil {
		if v, ok := m.samples[labels]; ok {
			return v
		}
	}
	t.Errorf("there is no %s", name)
	return math.NaN()
}

func parse(text string, open bool) (exposition, error) {
	all := exposition{}
	if !strings.HasSuffix(text, "\n") || open != strings.HasSuffix(text, "# EOF\n") {
		return nil, fmt.Errorf("ends in %.20q", text[max(0, len(text)-20):])
	}
	var now *metric
	var name, helped string
	for line := range strings.Lines(strings.TrimSuffix(text, "# EOF\n")) {
		line = strings.TrimSuffix(line, "\n")
		words := strings.SplitN(line, " ", 4)
		switch {
		case strings.HasPrefix(line, "# HELP ") && len(words) == 4:
			helped = words[2]
		case strings.HasPrefix(line, "# TYPE ") && len(words) == 4:
			name = words[2]
			if helped != name || all[name] != nil || !nameForm.MatchString(name) || open && strings.HasSuffix(name, "_total") && words[3] == "counter" {
				return nil, fmt.Errorf("%q after the help of %q", line, helped)
			}
			now = &metric{kind: words[3], samples: map[string]float64{}}
			all[name] = now
		default:
			if now == nil || helped != name {
				return nil, fmt.Errorf("%q belongs to nothing", line)
			}
			if err := now.sample(name, line, open); err != nil {
				return nil, fmt.Errorf("%q: %w", line, err)
			}
		}
	}
	for name, m := range all {
		if err := m.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return all, nil
}

func (m *metric) sample(name, line string, open bool) error {
	rest, ok := strings.CutPrefix(line, name)
	if !ok {
		return fmt.Errorf("not of %s", name)
	}
	at := strings.LastIndexByte(rest, ' ')
	if at < 0 {
		return fmt.Errorf("no value")
	}
	value, err := strconv.ParseFloat(rest[at+1:], 64)
	if err != nil {
		return err
	}
	key := rest[:at]
	if m.kind == "counter" && open {
		if key, ok = strings.CutPrefix(key, "_total"); !ok {
			return fmt.Errorf("a counter without _total")
		}
	}
	if m.kind == "counter" && (value < 0 || math.IsNaN(value)) {
		return fmt.Errorf("a counter below zero")
	}
	suffix, labels, found := strings.Cut(key, "{")
	if suffix != "" && (m.kind != "summary" && m.kind != "histogram" || suffix != "_sum" && suffix != "_count" && suffix != "_bucket") {
		return fmt.Errorf("suffix %q in a %s", suffix, m.kind)
	}
	if found {
		if labels, ok = strings.CutSuffix(labels, "}"); !ok || labels == "" {
			return fmt.Errorf("labels")
		}
		seen := map[string]bool{}
		for labels != "" {
			part := labelForm.FindStringSubmatch(labels)
			if part == nil || seen[part[1]] {
				return fmt.Errorf("labels at %q", labels)
			}
			seen[part[1]] = true
			labels = labels[len(part[0]):]
		}
	}
	if _, twice := m.samples[key]; twice {
		return fmt.Errorf("twice")
	}
	m.samples[key] = value
	m.order = append(m.order, key)
	return nil
}

// check holds histograms to ascend to their count.
func (m *metric) check() error {
	if len(m.samples) == 0 {
		return fmt.Errorf("no samples")
	}
	if m.kind != "histogram" {
		return nil
	}
	last, bound := 0.0, math.Inf(-1)
	for _, key := range m.order {
		i := strings.Index(key, `le="`)
		if i < 0 {
			last, bound = 0, math.Inf(-1)
			continue
		}
		le, err := strconv.ParseFloat(key[i+4:strings.LastIndexByte(key, '"')], 64)
		if err != nil || le <= bound || m.samples[key] < last {
			return fmt.Errorf("%s descends", key)
		}
		bound, last = le, m.samples[key]
		if math.IsInf(le, 1) {
			rest := strings.TrimSuffix(strings.TrimPrefix(key[:i], "_bucket"), ",")
			if count, ok := m.samples["_count"+rest+"}"]; !ok || count != last {
				return fmt.Errorf("%s: %g, the count %g", key, last, count)
			}
		}
	}
	return nil
}
