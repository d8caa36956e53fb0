package queue

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/larderdb/larder/store"
)

// Spec says when something recurs: see ParseSpec.
type Spec struct {
	minutes, hours, days, months, weekdays uint64 // bit sets; Sunday is 0
	anyDay, anyWeekday                     bool   // the field begins with *
	everyHour                              bool   // the hour field is *
	every                                  time.Duration
	zone                                   *time.Location
}

// ParseSpec reads a cron expression of five fields, minute, hour, day of the month, month and day of the week, with the usual
// lists, ranges, steps and English names of three letters: "*/15 8-18 * * mon-fri". 7 is Sunday, too. If both day fields
// are restricted, either is enough. "@hourly", "@daily", "@weekly", "@monthly", "@yearly" are short for the obvious, and
// "@every 90s" is every multiple of a duration since 1970, of at least a second.
//
// Times are of zone; nil is UTC. When clocks are put forward, what falls in the hour that there is not, is left out; when
// they are put back, what falls in the hour that there is twice happens in the first, unless the hour field is "*".
func ParseSpec(text string, zone *time.Location) (Spec, error) {
	s := Spec{zone: zone}
	if zone == nil {
		s.zone = time.UTC
	}
	if d, ok := strings.CutPrefix(text, "@every "); ok {
		every, err := time.ParseDuration(strings.TrimSpace(d))
		if err != nil || every < time.Second || every > longest || every%time.Millisecond != 0 {
			return Spec{}, badSpec(text, "a duration of at least a second, such as 90s")
		}
		s.every = every
		return s, nil
	}
	if short, ok := shorthands[text]; ok {
		text = short
	}
	fields := strings.Fields(text)
	if len(fields) != len(specFields) {
		return Spec{}, badSpec(text, "five fields: minute hour day month weekday")
	}
	sets := [...]*uint64{&s.minutes, &s.hours, &s.days, &s.months, &s.weekdays}
	for i, f := range specFields {
		set, ok := f.parse(strings.ToLower(fields[i]))
		if !ok {
			return Spec{}, badSpec(text, fmt.Sprintf("a %s from %d to %d", f.name, f.low, f.high))
		}
		*sets[i] = set
	}
	s.weekdays = s.weekdays&0x7f | s.weekdays>>7
	s.anyDay, s.anyWeekday, s.everyHour = fields[2][0] == '*', fields[4][0] == '*', fields[1] == "*"
	if s.Next(time.Unix(0, 0)).IsZero() {
		return Spec{}, badSpec(text, "a day that exists")
	}
	return s, nil
}

func badSpec(text, want string) error {
	return fmt.Errorf("queue: %w: cron %q, want %s", store.ErrInvalid, clip(text, 64), want)
}

var shorthands = map[string]string{
	"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *",
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}

type specField struct {
	name      string
	low, high int
	names     string // of low and those after it, three letters each
}

var specFields = [...]specField{
	{"minute", 0, 59, ""}, {"hour", 0, 23, ""}, {"day of the month", 1, 31, ""},
	{"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"}, {"day of the week", 0, 7, "sunmontuewedthufrisat"},
}

// parse reads a list of values, ranges and steps.
func (f *specField) parse(text string) (set uint64, ok bool) {
	for part := range strings.SplitSeq(text, ",") {
		span, step, stepped := strings.Cut(part, "/")
		by := 1
		if stepped {
			if by, ok = f.number(step, 1, f.high); !ok {
				return 0, false
			}
		}
		from, to := f.low, f.high
		if span != "*" {
			a, b, ranged := strings.Cut(span, "-")
			if from, ok = f.value(a); !ok {
				return 0, false
			}
			switch {
			case ranged:
				if to, ok = f.value(b); !ok || to < from {
					return 0, false
				}
			case !stepped:
				to = from
			}
		} else if f.high == 7 {
			to = 6 // Sunday once
		}
		for ; from <= to; from += by {
			set |= 1 << from
		}
	}
	return set, set != 0
}

func (f *specField) value(text string) (int, bool) {
	if len(text) == 3 && f.names != "" {
		if i := strings.Index(f.names, text); i >= 0 && i%3 == 0 {
			return f.low + i/3, true
		}
	}
	return f.number(text, f.low, f.high)
}

func (f *specField) number(text string, low, high int) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && digits(text) && n >= low && n <= high
}

// searchYears is how far ahead a next time is looked for: the 29th of February may be eight years off, and a
// certain weekday of it forty.
const searchYears = 41

// Next is the first time after t; zero if there is none.
func (s Spec) Next(t time.Time) time.Time {
	if s.every > 0 {
		ms, step := t.UnixMilli(), s.every.Milliseconds()
		return time.UnixMilli((ms/step + 1) * step).In(s.zone)
	}
	t = t.In(s.zone)
	last := t.Year() + searchYears
	year, month, day := t.Date()
	for ; year <= last; year, month, day = next(year, month, day) {
		if !s.onDay(year, month, day) {
			continue
		}
		if at := s.inDay(year, month, day, t); !at.IsZero() {
			return at
		}
	}
	return time.Time{}
}

// next is the day after.
func next(year int, month time.Month, day int) (int, time.Month, int) {
	return time.Date(year, month, day+1, 12, 0, 0, 0, time.UTC).Date()
}

func (s Spec) onDay(year int, month time.Month, day int) bool {
	if s.months>>month&1 == 0 {
		return false
	}
	byDay := s.days>>day&1 == 1
	byWeekday := s.weekdays>>time.Date(year, month, day, 12, 0, 0, 0, time.UTC).Weekday()&1 == 1
	if s.anyDay || s.anyWeekday {
		return byDay && byWeekday
	}
	return byDay || byWeekday
}

// inDay is the first time of that day after t. It goes by the real hours of the day, of which there may be 23 or 25.
func (s Spec) inDay(year int, month time.Month, day int, after time.Time) time.Time {
	begin := time.Date(year, month, day, 0, 0, 0, 0, s.zone)
	if after.After(begin) {
		begin = after.Truncate(time.Minute)
	}
	for at := begin; at.Day() == day || at.Before(begin.Add(time.Hour)); at = at.Add(time.Minute) {
		if at.Day() != day || s.hours>>at.Hour()&1 == 0 {
			// to the next hour, by the minutes left: zones differ by quarters, too
			at = at.Add(time.Duration(59-at.Minute()) * time.Minute)
			continue
		}
		if !at.After(after) || s.minutes>>at.Minute()&1 == 0 {
			if s.minutes>>at.Minute()>>1 == 0 {
				at = at.Add(time.Duration(59-at.Minute()) * time.Minute)
			} else {
				at = at.Add(time.Duration(bits.TrailingZeros64(s.minutes>>at.Minute()>>1)) * time.Minute)
			}
			continue
		}
		if s.everyHour || !again(at) {
			return at
		}
	}
	return time.Time{}
}

// again says that the clock has shown the same before, because it was put back: by an hour, in most zones.
func again(at time.Time) bool {
	for _, back := range [...]time.Duration{30 * time.Minute, time.Hour, 2 * time.Hour} {
		if p := at.Add(-back); p.Hour() == at.Hour() && p.Minute() == at.Minute() {
			return true
		}
	}
	return false
}

// latest is the last time after t that is not after now; zero if there is none.
func (s Spec) latest(t, now time.Time) time.Time {
	var found time.Time
	for _, back := range [...]time.Duration{time.Hour, 24 * time.Hour, 32 * 24 * time.Hour, longest} {
		from := t
		if near := now.Add(-back); near.After(t) {
			from = near
		}
		for at := s.Next(from); !at.IsZero() && !at.After(now); at = s.Next(at) {
			found = at
		}
		if !found.IsZero() || from.Equal(t) {
			break
		}
	}
	return found
}
