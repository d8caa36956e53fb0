// Package info reads what INFO answers: sections, fields, fields within fields, and how fast counters grew between two
// readings. It takes the answer of any Redis, Valkey or Larder, of any version: nothing is required to be there, what it
// cannot read it passes over, and it never panics.
//
//	now := info.Parse(text)
//	used, ok := now.Int("used_memory")                  // ok is false where the server does not say
//	for _, f := range now.Section("commandstats").Fields {
//		calls, _ := f.Parts().Int("calls")              // cmdstat_get:calls=7,usec=21,...
//	}
//	rate, ok := info.Between(before, after, elapsed).Rate("evicted_keys") // per second; never negative
package info

import (
	"strconv"
	"strings"
)

// Info is one answer of INFO. The zero Info is an empty answer. Its strings share the text that was parsed. It is not
// changed after Parse, so any number of goroutines may read it.
type Info struct {
	Sections []Section // in the server's order
	fields   map[string]string
}

// Section is what stands under one "# Name" line.
type Section struct {
	Name   string // as the server wrote it: "Memory"
	Fields []Field
}

// Field is one line, or one part of a line.
type Field struct{ Name, Value string }

// Parse reads the answer of INFO, in O(len(text)). Lines end in \r\n or \n. A line without a colon is passed over; fields
// before the first section's line are in a section without a name; a section that comes twice is there twice.
func Parse(text string) Info {
	in := Info{fields: make(map[string]string, strings.Count(text, ":"))}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if title, ok := strings.CutPrefix(line, "#"); ok {
			in.Sections = append(in.Sections, Section{Name: strings.TrimSpace(title)})
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" {
			continue
		}
		if len(in.Sections) == 0 {
			in.Sections = append(in.Sections, Section{})
		}
		s := &in.Sections[len(in.Sections)-1]
		s.Fields = append(s.Fields, Field{name, value})
		if _, twice := in.fields[name]; !twice {
			in.fields[name] = value
		}
	}
	return in
}

// Empty reports that no field was read at all.
func (in Info) Empty() bool { return len(in.fields) == 0 }

// Section finds a section by its name, in any case; its Fields are nil if the server does not offer it.
func (in Info) Section(name string) Section {
	for _, s := range in.Sections {
		if strings.EqualFold(s.Name, name) {
			return s
		}
	}
	return Section{}
}

// Has reports whether the server offered the section, even an empty one.
func (in Info) Has(section string) bool {
	for _, s := range in.Sections {
		if strings.EqualFold(s.Name, section) {
			return true
		}
	}
	return false
}

// Text is a field of any section, the first of that name; ok is false if there is none.
func (in Info) Text(field string) (value string, ok bool) {
	value, ok = in.fields[field]
	return value, ok
}

// Int is a field that is a whole number; ok is false if there is none or it is something else.
func (in Info) Int(field string) (n int64, ok bool) { return whole(in.Text(field)) }

// Float is a field that is a number, a percentage included: "93.75%" is 93.75. ok is false if there is none, or it is
// something else, infinite, or not a number.
func (in Info) Float(field string) (f float64, ok bool) { return number(in.Text(field)) }

// Parts are the fields within the field, none if there is no such field.
func (in Info) Parts(field string) Parts {
	value, _ := in.Text(field)
	return split(value)
}

// Parts are the fields within a field: a=1,b=2. Names may come twice.
type Parts []Field

// Parts takes the field's value apart. A value in double quotes is read as strconv.Unquote does, so it may be any bytes;
// an unreadable one is taken as it stands.
func (f Field) Parts() Parts { return split(f.Value) }

// Text is the first part of that name.
func (p Parts) Text(name string) (value string, ok bool) {
	for _, f := range p {
		if f.Name == name {
			return f.Value, true
		}
	}
	return "", false
}

// Int is Text as a whole number.
func (p Parts) Int(name string) (n int64, ok bool) { return whole(p.Text(name)) }

// Float is Text as a number.
func (p Parts) Float(name string) (f float64, ok bool) { return number(p.Text(name)) }

func split(value string) Parts {
	if !strings.Contains(value, "=") {
		return nil
	}
	parts := make(Parts, 0, strings.Count(value, ",")+1)
	for value != "" {
		at := strings.IndexAny(value, "=,")
		if at < 0 {
			break
		}
		name, rest := value[:at], value[at+1:]
		if value[at] == ',' { // a word without a value
			value = rest
			continue
		}
		var v string
		v, value = cutValue(rest)
		parts = append(parts, Field{name, v})
	}
	return parts
}

// cutValue takes a value and the comma after it off the front.
func cutValue(s string) (value, rest string) {
	if quoted, err := strconv.QuotedPrefix(s); err == nil && quoted[0] == '"' {
		after := s[len(quoted):]
		if after == "" || after[0] == ',' {
			if plain, err := strconv.Unquote(quoted); err == nil {
				return plain, strings.TrimPrefix(after, ",")
			}
		}
	}
	value, rest, _ = strings.Cut(s, ",")
	return value, rest
}

func whole(value string, there bool) (int64, bool) {
	if !there {
		return 0, false
	}
	n, err := strconv.ParseInt(value, 10, 64)
	return n, err == nil
}

func number(value string, there bool) (float64, bool) {
	if !there {
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.TrimSuffix(value, "%"), 64)
	if err != nil || f-f != 0 { // not finite
		return 0, false
	}
	return f, true
}
