package command_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// modelHash is a hash as its commands are documented, done the plain way.
type modelHash struct {
	now    int64
	fields map[string]modelField
}

type modelField struct {
	value  string
	expiry int64 // 0: none
}

// expire removes what is past its time.
func (m *modelHash) expire() {
	for name, f := range m.fields {
		if f.expiry != 0 && f.expiry < m.now {
			delete(m.fields, name)
		}
	}
}

func ints(list []int) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = fmt.Sprintf("(%d)", n)
	}
	return "[" + strings.Join(words, " ") + "]"
}

// setExpiry is HPEXPIRE with a condition for one field.
func (m *modelHash) setExpiry(name, condition string, at int64) int {
	f, there := m.fields[name]
	switch {
	case !there:
		return -2
	case condition == "NX" && f.expiry != 0, condition == "XX" && f.expiry == 0,
		condition == "GT" && (f.expiry == 0 || at <= f.expiry), condition == "LT" && f.expiry != 0 && at >= f.expiry:
		return 0
	case at <= m.now:
		delete(m.fields, name)
		return 2
	}
	m.fields[name] = modelField{f.value, at}
	return 1
}

func (m *modelHash) get(name string) string {
	if f, there := m.fields[name]; there {
		return f.value
	}
	return "(nil)"
}

// step draws a command and does it on the model: its words and the reply that is due.
func (m *modelHash) step(r *rand.Rand) (words []string, want string) {
	name := func() string { return fmt.Sprintf("f%d", r.IntN(12)) }
	names := make([]string, 1+r.IntN(4))
	for i := range names {
		names[i] = name()
	}
	one, value := names[0], strconv.Itoa(r.IntN(100))
	at := m.now + int64(r.IntN(3000)) - 300
	fields := append([]string{"FIELDS", strconv.Itoa(len(names))}, names...)
	results := make([]int, len(names))
	values := make([]string, len(names))
	switch r.IntN(12) {
	case 0, 1:
		added := 1
		if _, there := m.fields[one]; there {
			added = 0
		}
		m.fields[one] = modelField{value: value}
		return []string{"HSET", "h", one, value}, fmt.Sprintf("(%d)", added)
	case 2, 3:
		condition := []string{"", "NX", "XX", "GT", "LT"}[r.IntN(5)]
		for i, n := range names {
			results[i] = m.setExpiry(n, condition, at)
		}
		words = []string{"HPEXPIREAT", "h", strconv.FormatInt(at, 10)}
		if condition != "" {
			words = append(words, condition)
		}
		return append(words, fields...), ints(results)
	case 4:
		for i, n := range names {
			f, there := m.fields[n]
			switch {
			case !there:
				results[i] = -2
			case f.expiry == 0:
				results[i] = -1
			default:
				results[i] = 1
				m.fields[n] = modelField{value: f.value}
			}
		}
		return append([]string{"HPERSIST", "h"}, fields...), ints(results)
	case 5:
		for i, n := range names {
			f, there := m.fields[n]
			switch {
			case !there:
				results[i] = -2
			case f.expiry == 0:
				results[i] = -1
			default:
				results[i] = int(f.expiry - m.now)
			}
		}
		return append([]string{"HPTTL", "h"}, fields...), ints(results)
	case 6:
		for i, n := range names {
			values[i] = m.get(n)
			m.setExpiry(n, "", at)
		}
		return append([]string{"HGETEX", "h", "PXAT", strconv.FormatInt(at, 10)}, fields...), "[" + strings.Join(values, " ") + "]"
	case 7:
		for i, n := range names {
			values[i] = m.get(n)
			delete(m.fields, n)
		}
		return append([]string{"HGETDEL", "h"}, fields...), "[" + strings.Join(values, " ") + "]"
	case 8:
		return m.stepHSetEx(r, names, value, at)
	case 9:
		f := m.fields[one]
		n, _ := strconv.Atoi(f.value)
		m.fields[one] = modelField{strconv.Itoa(n + 7), f.expiry}
		return []string{"HINCRBY", "h", one, "7"}, fmt.Sprintf("(%d)", n+7)
	case 10:
		n := 0
		if _, there := m.fields[one]; there {
			n = 1
		}
		delete(m.fields, one)
		return []string{"HDEL", "h", one}, fmt.Sprintf("(%d)", n)
	}
	return []string{"HLEN", "h"}, fmt.Sprintf("(%d)", len(m.fields))
}

func (m *modelHash) stepHSetEx(r *rand.Rand, names []string, value string, at int64) (words []string, want string) {
	words = []string{"HSETEX", "h"}
	condition, expiry := []string{"", "FNX", "FXX"}[r.IntN(3)], []string{"", "KEEPTTL", "PXAT"}[r.IntN(3)]
	met := true
	for _, n := range names {
		_, there := m.fields[n]
		met = met && !(condition == "FNX" && there || condition == "FXX" && !there)
	}
	if condition != "" {
		words = append(words, condition)
	}
	switch expiry {
	case "KEEPTTL":
		words = append(words, expiry)
	case "PXAT":
		words = append(words, expiry, strconv.FormatInt(at, 10))
	}
	words = append(words, "FIELDS", strconv.Itoa(len(names)))
	for _, n := range names {
		words = append(words, n, value)
		if !met {
			continue
		}
		f := modelField{value: value}
		switch expiry {
		case "KEEPTTL":
			f.expiry = m.fields[n].expiry
		case "PXAT":
			f.expiry = at
		}
		if m.fields[n] = f; expiry == "PXAT" && at <= m.now {
			delete(m.fields, n)
		}
	}
	if met {
		return words, "(1)"
	}
	return words, "(0)"
}

// TestHashFieldsAgainstModel draws commands on one hash, and lets time pass.
func TestHashFieldsAgainstModel(t *testing.T) {
	for _, limit := range []string{"512", "4", "0"} {
		seed := uint64(time.Now().UnixNano())
		t.Run(fmt.Sprintf("limit %s seed %d", limit, seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 5))
			r := newRig(t, "hash-max-listpack-entries", limit)
			m := modelHash{fields: map[string]modelField{}}
			for range 20_000 {
				r.clock.Advance(time.Duration(random.IntN(60)) * time.Millisecond)
				if random.IntN(20) == 0 {
					r.Tick(time.Second)
				}
				m.now = r.clock.Now().UnixMilli()
				m.expire()
				words, want := m.step(random)
				r.main.want(want, words...)
				if random.IntN(50) == 0 {
					m.verify(t, r)
				}
			}
		})
	}
}

// verify compares everything there is.
func (m *modelHash) verify(t *testing.T, r *rig) {
	t.Helper()
	if err := r.Engine.Check(); err != nil {
		t.Fatal(err)
	}
	want := []string{}
	for name, f := range m.fields {
		at := f.expiry
		if at == 0 {
			at = -1
		}
		want = append(want, fmt.Sprintf("%s=%s[(%d)]", name, f.value, at))
	}
	slices.Sort(want)
	exists := "(0)"
	if len(want) > 0 {
		exists = "(1)"
	}
	r.main.want(exists, "EXISTS", "h")
	if len(want) == 0 {
		return
	}
	if got := r.main.content("h"); got != strings.Join(want, " ") {
		t.Fatalf("the hash holds %s, want %s", got, strings.Join(want, " "))
	}
}
