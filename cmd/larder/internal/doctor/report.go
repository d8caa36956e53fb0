package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Severity says how much a finding matters.
type Severity uint8

const (
	OK       Severity = iota // nothing found
	Notice                   // worth knowing; may be as it should be
	Warning                  // costs memory, time or safety now
	Critical                 // loses data, opens a door, or will stop the service
)

var severities = [...]string{OK: "ok", Notice: "notice", Warning: "warning", Critical: "critical"}

func (s Severity) String() string { return severities[s] }

// MarshalText is the severity's word in JSON.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Severity) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSeverity(string(text))
	return err
}

// ParseSeverity reads a severity's word.
func ParseSeverity(word string) (Severity, error) {
	if i := slices.Index(severities[:], word); i >= 0 {
		return Severity(i), nil
	}
	return 0, fmt.Errorf("a severity %q: critical, warning, notice and ok are possible", word)
}

// Schema is the version of the JSON form of a Report. Fields are added without a new version, never renamed or removed.
const Schema = 1

// Report is the outcome of a check-up. Its JSON form is described in docs/doctor.md.
type Report struct {
	Schema     int           `json:"schema"`
	Target     string        `json:"target"` // the address without a password
	Started    time.Time     `json:"started"`
	Seconds    float64       `json:"seconds"`
	Servers    []ServerLine  `json:"servers"`
	Scan       ScanLine      `json:"scan"`
	Findings   []Finding     `json:"findings"`   // the gravest first
	Passed     []string      `json:"passed"`     // checks that found nothing
	Skipped    []Skip        `json:"skipped"`    // checks that could not be made
	Ignored    []string      `json:"ignored"`    // checks that were not asked for
	Namespaces []SpaceLine   `json:"namespaces"` // the largest first
	Summary    SeverityCount `json:"summary"`
}

// SeverityCount counts findings; OK counts checks that found nothing.
type SeverityCount struct {
	Critical int `json:"critical"`
	Warning  int `json:"warning"`
	Notice   int `json:"notice"`
	OK       int `json:"ok"`
}

// ServerLine describes a server in a report.
type ServerLine struct {
	Name       string `json:"name"`
	Software   string `json:"software"`
	Version    string `json:"version"`
	Mode       string `json:"mode"`
	Role       string `json:"role"`
	Uptime     int64  `json:"uptime_seconds"`
	Keys       int64  `json:"keys"`
	UsedMemory int64  `json:"used_memory"`
}

// ScanLine describes what was looked at.
type ScanLine struct {
	Keys      int64   `json:"keys"`       // in the database, by DBSIZE
	Seen      int64   `json:"seen"`       // looked at
	Bytes     int64   `json:"bytes"`      // of those, as MEMORY USAGE counts
	Denied    int64   `json:"denied"`     // keys that this user may not look at
	Touched   int64   `json:"touched"`    // keys whose value or length was read
	NoTouch   bool    `json:"no_touch"`   // and whose access clocks did not move nevertheless
	Complete  bool    `json:"complete"`   // every key was seen
	Estimated bool    `json:"estimated"`  // figures are scaled up from a sample
	Stopped   string  `json:"stopped"`    // why it ended early; empty if it did not
	Cancelled bool    `json:"cancelled"`  // somebody, or a failure, ended it
	Seconds   float64 `json:"seconds"`    // spent scanning
	Database  int     `json:"database"`   // the one scanned
	Elsewhere int64   `json:"other_keys"` // keys of other databases, not looked at
}

// SpaceLine describes a namespace. Figures are estimates where Scan.Estimated.
type SpaceLine struct {
	Name    string `json:"name"` // quoted as in Go; empty for keys without one
	Keys    int64  `json:"keys"`
	Bytes   int64  `json:"bytes"`
	NoTTL   int64  `json:"no_ttl"`
	MeanTTL int64  `json:"mean_ttl_seconds"` // of keys with one
}

// Finding is one thing that is wrong.
type Finding struct {
	Check    string             `json:"check"`
	Severity Severity           `json:"severity"`
	Title    string             `json:"title"`
	Server   string             `json:"server,omitempty"`  // where there are several
	Subject  string             `json:"subject,omitempty"` // a key or namespace, quoted as in Go; a command
	Figure   string             `json:"figure"`
	Why      string             `json:"why"`
	Do       string             `json:"do"`
	Values   map[string]float64 `json:"values,omitempty"` // the figures of Figure
}

// Skip is a check that could not be made.
type Skip struct {
	Check  string `json:"check"`
	Server string `json:"server,omitempty"`
	Reason string `json:"reason"`
}

// Worst is the gravest severity found.
func (r *Report) Worst() Severity {
	worst := OK
	for _, f := range r.Findings {
		worst = max(worst, f.Severity)
	}
	return worst
}

func (r *Report) order() {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		if a.Severity != b.Severity {
			return int(b.Severity) - int(a.Severity)
		}
		return 0
	})
	for _, f := range r.Findings {
		switch f.Severity {
		case Critical:
			r.Summary.Critical++
		case Warning:
			r.Summary.Warning++
		case Notice:
			r.Summary.Notice++
		}
	}
	r.Summary.OK = len(r.Passed)
}

// serverLines describes the servers, and what no scan saw of them.
func serverLines(f *Facts) (lines []ServerLine) {
	for _, s := range f.Servers {
		name, version := s.Software()
		keys, _ := s.keyspace()
		mode := cmp.Or(s.text("redis_mode"), s.text("server_mode"))
		lines = append(lines, ServerLine{s.Name, name, version, strings.TrimSpace(mode), s.text("role"),
			s.count("uptime_in_seconds"), keys, s.count("used_memory")})
	}
	return lines
}
