package queue_test

import (
	"errors"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/larderdb/larder/queue"
	"github.com/larderdb/larder/store"
)

func TestSpecNext(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	havana, err := time.LoadLocation("America/Havana") // clocks change at midnight
	if err != nil {
		t.Fatal(err)
	}
	const layout = "2006-01-02 15:04:05 MST"
	for _, c := range []struct {
		spec  string
		zone  *time.Location
		after string
		want  []string
	}{
		{"* * * * *", nil, "2026-01-31T23:58:30Z", []string{"2026-01-31 23:59:00 UTC", "2026-02-01 00:00:00 UTC"}},
		{"*/15 8-9 * * mon-fri", nil, "2026-05-01T09:30:00Z", []string{"2026-05-01 09:45:00 UTC", "2026-05-04 08:00:00 UTC"}},
		{"5/20 0 1,15 * *", nil, "2026-05-01T00:05:00Z", []string{"2026-05-01 00:25:00 UTC", "2026-05-01 00:45:00 UTC", "2026-05-15 00:05:00 UTC"}},
		{"0 12 13 * fri", nil, "2026-02-07T00:00:00Z", []string{"2026-02-13 12:00:00 UTC", "2026-02-20 12:00:00 UTC"}},
		{"0 12 */2 * 0", nil, "2026-02-01T12:00:00Z", []string{"2026-02-15 12:00:00 UTC"}}, // odd and a Sunday
		{"0 0 29 feb *", nil, "2026-01-01T00:00:00Z", []string{"2028-02-29 00:00:00 UTC", "2032-02-29 00:00:00 UTC"}},
		{"0 0 * * 7", nil, "2026-05-01T00:00:00Z", []string{"2026-05-03 00:00:00 UTC"}},
		{"@daily", berlin, "2026-07-01T12:00:00Z", []string{"2026-07-02 00:00:00 CEST"}},
		{"@every 90s", nil, "2026-07-01T12:00:00Z", []string{"2026-07-01 12:01:30 UTC", "2026-07-01 12:03:00 UTC"}},
		// forward on 29 March, 2:00 to 3:00
		{"30 2 * * *", berlin, "2026-03-28T12:00:00Z", []string{"2026-03-30 02:30:00 CEST"}},
		{"0 * * * *", berlin, "2026-03-29T00:30:00Z", []string{"2026-03-29 03:00:00 CEST", "2026-03-29 04:00:00 CEST"}},
		// back on 25 October, 3:00 to 2:00
		{"30 2 * * *", berlin, "2026-10-24T12:00:00Z", []string{"2026-10-25 02:30:00 CEST", "2026-10-26 02:30:00 CET"}},
		{"30 * * * *", berlin, "2026-10-24T23:45:00Z", []string{"2026-10-25 02:30:00 CEST", "2026-10-25 02:30:00 CET", "2026-10-25 03:30:00 CET"}},
		{"0 0 * * *", havana, "2026-03-07T12:00:00Z", []string{"2026-03-09 00:00:00 CDT"}},
		{"30 0 * * *", havana, "2026-10-31T12:00:00Z", []string{"2026-11-01 00:30:00 CDT", "2026-11-02 00:30:00 CST"}},
	} {
		spec, err := queue.ParseSpec(c.spec, c.zone)
		if err != nil {
			t.Error(err)
			continue
		}
		at, _ := time.Parse(time.RFC3339, c.after)
		for _, want := range c.want {
			if at = spec.Next(at); at.Format(layout) != want {
				t.Errorf("%s after %s: %s, want %s", c.spec, c.after, at.Format(layout), want)
			}
		}
	}
}

func TestSpecRefuses(t *testing.T) {
	for _, text := range []string{
		"", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "*/0 * * * *", "5-1 * * * *", "x * * * *",
		"* * 30 2 *", "1,, * * * *", "+1 * * * *", "@every 1ms", "@every x", "@often", "* * * anf *", "1-2-3 * * * *", "*/61 * * * *",
	} {
		if _, err := queue.ParseSpec(text, nil); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzSpec looks for a Next that is not after, not in the sets, or does not end.
func FuzzSpec(f *testing.F) {
	f.Add("*/7 1-5 * jan-mar mon", int64(1e9))
	f.Add("@every 17s", int64(2e9))
	f.Fuzz(func(t *testing.T, text string, at int64) {
		spec, err := queue.ParseSpec(text, nil)
		if err != nil {
			return
		}
		after := time.Unix(at%4e9, 0)
		if next := spec.Next(after); next.IsZero() || !next.After(after) {
			t.Errorf("%q after %v: %v", text, after, next)
		}
	})
}
