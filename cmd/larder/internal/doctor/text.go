package doctor

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteJSON writes the report for programs: see docs/doctor.md for the fields.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// The colours of severities on a terminal.
var colours = [...]string{OK: "\x1b[32m", Notice: "\x1b[36m", Warning: "\x1b[33m", Critical: "\x1b[1;31m"}

const (
	plainColour = "\x1b[0m"
	lineWidth   = 110
	indent      = "            "
)

// WriteText writes the report for people, with colours if asked for.
func (r *Report) WriteText(w io.Writer, colour bool) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, "larder doctor %s\n\n", clean(r.Target))
	for _, s := range r.Servers {
		fmt.Fprintf(b, "  server    %s\n", describeServer(s))
	}
	r.writeScan(b)
	for _, f := range r.Findings {
		writeFinding(b, f, colour)
	}
	if len(r.Passed) > 0 {
		b.WriteString("\n" + paint(OK, colour))
		wrapped(b, "", fmt.Sprintf("%d checks found nothing: %s", len(r.Passed), strings.Join(r.Passed, ", ")))
	}
	r.writeSkipped(b)
	if len(r.Ignored) > 0 {
		fmt.Fprintf(b, "\nIgnored: %s\n", strings.Join(r.Ignored, ", "))
	}
	r.writeSpaces(b)
	s := r.Summary
	fmt.Fprintf(b, "\n%d critical, %d warnings, %d notices; %d checks found nothing, %d could not be made\n", s.Critical, s.Warning, s.Notice, s.OK, len(r.Skipped))
	_, err := io.WriteString(w, b.String())
	return err
}

// guard escapes what could move a terminal's cursor, should anything of the kind have come so far.
func guard(text string) string {
	if !strings.ContainsFunc(text, unsafe) {
		return text
	}
	return clean(text)
}

func unsafe(r rune) bool { return r < ' ' || r > '~' }

func describeServer(s ServerLine) string {
	var parts []string
	for _, p := range []string{strings.TrimSpace(s.Software + " " + s.Version), s.Mode, s.Role} {
		if p != "" {
			parts = append(parts, clean(p))
		}
	}
	if s.UsedMemory == 0 { // there is always some: nothing is known
		return clean(s.Name) + ": " + strings.Join(parts, ", ") + "; uptime, keys and memory unknown, as INFO does not tell"
	}
	return fmt.Sprintf("%s: %s; up %s; %s keys, %s used", clean(s.Name), strings.Join(parts, ", "), span(time.Duration(s.Uptime)*time.Second), number(s.Keys), size(s.UsedMemory))
}

func (r *Report) writeScan(b *strings.Builder) {
	s := r.Scan
	fmt.Fprintf(b, "  scanned   %s of %s keys of database %d (%s) in %.1f s", number(s.Seen), number(s.Keys), s.Database, percent(share(s.Seen, s.Keys)), s.Seconds)
	if s.Estimated {
		b.WriteString("; counts are estimates, and single big keys may be missing: --full sees all")
	}
	b.WriteString("\n")
	if s.Touched > 0 {
		clocks := "whose access clocks moved"
		if s.NoTouch {
			clocks = "without moving their access clocks"
		}
		fmt.Fprintf(b, "  read      the beginning or the length of %s keys, %s\n", number(s.Touched), clocks)
	}
	if s.Denied > 0 {
		fmt.Fprintf(b, "  refused   %s keys that this user may not read\n", number(s.Denied))
	}
	if len(r.Servers) == 1 && r.Servers[0].Mode == "cluster" && !strings.Contains(r.Target, "+cluster") {
		b.WriteString("  not seen  the other servers of the cluster: an address with redis+cluster:// examines all primaries\n")
	}
	if s.Elsewhere > 0 {
		fmt.Fprintf(b, "  not seen  %s keys of other databases: put /N at the end of the address\n", number(s.Elsewhere))
	}
	if s.Stopped != "" {
		fmt.Fprintf(b, "  STOPPED   %s: what follows is of what was seen until then\n", clean(s.Stopped))
	}
}

// writeSkipped says once for each reason what could not be checked.
func (r *Report) writeSkipped(b *strings.Builder) {
	if len(r.Skipped) > 0 {
		b.WriteString("\nCOULD NOT CHECK\n")
	}
	var reasons []Skip
	checks := map[Skip][]string{}
	for _, s := range r.Skipped {
		reason := Skip{Server: s.Server, Reason: s.Reason}
		if checks[reason] == nil {
			reasons = append(reasons, reason)
		}
		checks[reason] = append(checks[reason], s.Check)
	}
	for _, reason := range reasons {
		where := ""
		if reason.Server != "" {
			where = " at " + reason.Server
		}
		b.WriteString("  ")
		wrapped(b, "", clean(strings.Join(checks[reason], ", ")+where+", because "+reason.Reason))
	}
}

func writeFinding(b *strings.Builder, f Finding, colour bool) {
	fmt.Fprintf(b, "\n%s  %s", paint(f.Severity, colour), f.Title)
	if f.Subject != "" {
		fmt.Fprintf(b, ": %s", guard(f.Subject))
	}
	if f.Server != "" {
		fmt.Fprintf(b, " (%s)", clean(f.Server))
	}
	fmt.Fprintf(b, "  [%s]\n", f.Check)
	for _, part := range []struct{ label, text string }{{"", f.Figure}, {"why   ", f.Why}, {"do    ", f.Do}} {
		b.WriteString(indent)
		wrapped(b, part.label, guard(part.text))
	}
}

// paint is a severity's word in capitals, as wide as the widest.
func paint(s Severity, colour bool) string {
	word := fmt.Sprintf("%-8s", strings.ToUpper(s.String()))
	if colour {
		return "  " + colours[s] + word + plainColour
	}
	return "  " + word
}

// wrapped breaks text between words so that lines stay below lineWidth.
func wrapped(b *strings.Builder, label, text string) {
	b.WriteString(label)
	at := len(indent) + len(label)
	for i, word := range strings.Split(text, " ") {
		switch {
		case i == 0:
		case at+1+len(word) > lineWidth:
			b.WriteString("\n" + indent + strings.Repeat(" ", len(label)))
			at = len(indent) + len(label)
		default:
			b.WriteString(" ")
			at++
		}
		b.WriteString(word)
		at += len(word)
	}
	b.WriteString("\n")
}

func (r *Report) writeSpaces(b *strings.Builder) {
	if len(r.Namespaces) == 0 {
		return
	}
	const row = "  %-32s %14s %12s %14s %12s\n"
	b.WriteString("\n")
	fmt.Fprintf(b, row, "namespace", "keys", "memory", "without TTL", "mean TTL")
	for _, n := range r.Namespaces {
		mean := "-"
		if n.Keys > n.NoTTL {
			mean = span(time.Duration(n.MeanTTL) * time.Second)
		}
		fmt.Fprintf(b, row, cmp.Or(n.Name, "(none)"), number(n.Keys), size(n.Bytes), number(n.NoTTL), mean)
	}
}
