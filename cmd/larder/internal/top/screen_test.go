package top

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/larderdb/larder/internal/info"
)

var update = flag.Bool("update", false, "write testdata anew")

// hostile are names that no terminal should get as they are.
var hostile = []string{"\x1b[2J\x1b[31mred", "new\nline\r\x07", "\xff\xfe bytes", "宽的键名宽的键名宽的键名宽的键名宽的键名", "a\u202eltr\u200bhidden", "zalgo\u0301\u0302\u0303\u0304\u0305", "\u009b31mcsi", "\x00", "flag🇩🇪 ❤\ufe0f 👩‍👩‍👧", "\t\ttabs", strings.Repeat("long", 300)}

// fake is a server under a script.
type fake struct {
	load    Load
	samples []Sample
	reads   []Want
	scans   []Place
	wants   []ScanWant // of them
	details []string
	asked   int // samples by MONITOR
}

func (f *fake) String() string { return "redis://127.0.0.1:6379" }
func (f *fake) Own() *Load     { return &f.load }
func (f *fake) Read(_ context.Context, w Want) []Sample {
	f.reads = append(f.reads, w)
	s := f.samples[0]
	if len(f.samples) > 1 {
		f.samples = f.samples[1:]
	}
	f.load.commands.Add(3)
	f.load.bytes.Add(9000)
	return []Sample{s}
}
func (f *fake) Scan(_ context.Context, from Place, want ScanWant) (Batch, error) {
	f.scans, f.wants = append(f.scans, from), append(f.wants, want)
	b := Batch{Total: num(22), Next: Place{Cursor: "7"}}
	for i, name := range hostile {
		b.Keys = append(b.Keys, KeyFacts{Node: "a:1", Name: name + ":x", Bytes: num(float64(5000 - i)), Known: true, HasTTL: i%2 == 0, TTL: time.Hour, Freq: num(float64(200 - i)), Type: "hash"})
	}
	if from.Cursor == "7" {
		b.Total, b.Done = Num{}, true
	}
	return b, nil
}
func (f *fake) Monitor(context.Context, int) (Monitored, error) {
	f.asked++
	m := Monitored{Calls: 1000, Over: 5 * time.Second, Node: "a:1"}
	for i, name := range hostile {
		m.Keys = append(m.Keys, Access{Node: "a:1", Key: name, Total: num(float64(100 - i)), Reads: num(float64(90 - i)), Writes: num(10), AtMost: num(0), Command: "get"})
	}
	return m, nil
}
func (f *fake) Examine(_ context.Context, node, key string) Detail {
	f.details = append(f.details, key)
	return Detail{Node: node, Key: key, Lines: [][2]string{{"type", "hash"}, {"memory", "4.88K"}}}
}

// busy is a server under load at second i.
func busy(i int, more ...string) Sample {
	s := reading(i, map[string]int{
		"total_commands_processed": 1000 + 12_345*i, "keyspace_hits": 500 + 900*i, "keyspace_misses": 100 + 100*i, "evicted_keys": max(0, i-3) * 340, "expired_keys": 12 * i,
		"total_net_input_bytes": 10_000 + 1_200_000*i, "total_net_output_bytes": 20_000 + 3_400_000*i, "used_memory": 97 << 20, "used_memory_rss": 120 << 20,
	}, append([]string{"role:master", "used_memory_peak:104857600", "used_memory_overhead:20000000", "used_memory_startup:900000", "used_memory_dataset:81713152", "mem_clients_normal:300000", "used_cpu_sys:" + fmt.Sprint(1+0.1*float64(i)), "used_cpu_user:" + fmt.Sprint(2+0.4*float64(i)),
		"# Commandstats", fmt.Sprintf("cmdstat_get:calls=%d,usec=%d,rejected_calls=0,failed_calls=0", 100+10_000*i, 300+20_000*i), fmt.Sprintf("cmdstat_\x1b[2J:calls=%d,usec=%d", 5+i, 7+i),
		"# Errorstats", "# Keyspace", "db0:keys=1000000,expires=800000,avg_ttl=5"}, more...)...)
	s.Latency = info.Histograms{"get": {{Micros: 1, Calls: int64(5000 * i)}, {Micros: 2, Calls: int64(9900 * i)}, {Micros: 16, Calls: int64(10_000 * i)}}}
	s.SlowLog = []SlowCall{{ID: 1, At: time.Unix(1700000000, 0).UTC(), Micros: 15_000, Call: callLine([]string{"KEYS", "*\x1b[2J"}), Client: "127.0.0.1:5"}}
	s.Clients = []Client{{Addr: "127.0.0.1:5000", Name: "app", Library: "go-redis 9", User: "default", Command: "get", ID: num(3), Age: num(100), Idle: num(0), Memory: num(22_000), Calls: num(float64(100 * i))}}
	return s
}

// screenAt is a screen after some readings of a server.
func screenAt(t *testing.T, width, height int, samples ...Sample) (*Screen, *fake) {
	t.Helper()
	f := &fake{samples: samples}
	s := NewScreen(t.Context(), f, Options{Interval: time.Second, ScanRate: 1000, Separator: ":", Depth: 1})
	s.ink.off = true
	s.after = func(_ time.Duration, msg tea.Msg) tea.Cmd {
		if _, step := msg.(stepMsg); step { // a scan goes on at once, the next reading is up to the test
			return func() tea.Msg { return msg }
		}
		return nil
	}
	s.Update(tea.WindowSizeMsg{Width: width, Height: height})
	for range samples {
		s.reading = false
		s.Update(s.read()())
	}
	return s, f
}

func busySeconds(n int, more ...string) (all []Sample) {
	for i := range n {
		all = append(all, busy(i, more...))
	}
	return all
}

// press types keys; what they ask of the server is answered at once, ticks are not.
func press(s *Screen, keys ...string) {
	for _, k := range keys {
		m := tea.KeyPressMsg{Text: k, Code: []rune(k)[0]}
		switch k {
		case "enter":
			m = tea.KeyPressMsg{Code: tea.KeyEnter}
		case "esc":
			m = tea.KeyPressMsg{Code: tea.KeyEscape}
		case "tab":
			m = tea.KeyPressMsg{Code: tea.KeyTab}
		case "down":
			m = tea.KeyPressMsg{Code: tea.KeyDown}
		case "space":
			m = tea.KeyPressMsg{Code: ' ', Text: " "}
		case "backspace":
			m = tea.KeyPressMsg{Code: tea.KeyBackspace}
		}
		_, cmd := s.Update(m)
		answer(s, cmd)
	}
}

// answer runs what a command asks of the fake, which answers at once.
func answer(s *Screen, cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	msg := cmd()
	if batch, ok := msg.(tea.BatchMsg); ok {
		for _, c := range batch {
			answer(s, c)
		}
		return
	}
	_, next := s.Update(msg)
	answer(s, next)
}

// sound holds a drawn screen to what every one must be: the right number of lines, none too wide, nothing in it that a
// terminal would obey.
func sound(t *testing.T, s *Screen) string {
	t.Helper()
	content := s.View().Content
	lines := strings.Split(content, "\n")
	if len(lines) > max(s.height, 1) {
		t.Errorf("%dx%d: %d lines", s.width, s.height, len(lines))
	}
	for _, l := range lines {
		if w := ansi.StringWidth(l); w > s.width {
			t.Errorf("%dx%d: a line of %d cells: %q", s.width, s.height, w, l)
		}
		if !utf8.ValidString(l) {
			t.Errorf("invalid UTF-8: %q", l)
		}
		if s.ink.off {
			for _, r := range l {
				if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e || r == 0x200b {
					t.Errorf("%dx%d: the character %q in %q", s.width, s.height, r, l)
				}
			}
		}
	}
	return content
}

func golden(t *testing.T, name string, s *Screen) {
	t.Helper()
	var b strings.Builder
	for l := range strings.SplitSeq(sound(t, s), "\n") {
		b.WriteString(strings.TrimRight(l, " ") + "\n")
	}
	got := b.String()
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; go test ./cmd/larder/internal/top -update writes it anew", file)
		w := strings.Split(string(want), "\n")
		for i, g := range strings.Split(got, "\n") {
			if i >= len(w) || g != w[i] {
				t.Logf("%2d + %s", i, g)
				if i < len(w) {
					t.Logf("%2d - %s", i, w[i])
				}
			}
		}
	}
}

func TestScreens(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}, {40, 10}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			s, _ := screenAt(t, size[0], size[1], busySeconds(8)...)
			for view, name := range []string{"overview", "namespaces", "hot", "big", "commands", "clients", "slow"} {
				switch name {
				case "slow":
					press(s, "5", "5")
				default:
					press(s, fmt.Sprint(view+1))
				}
				golden(t, fmt.Sprintf("%s-%dx%d", name, size[0], size[1]), s)
			}
			press(s, "3", "M")
			golden(t, fmt.Sprintf("monitor-asks-%dx%d", size[0], size[1]), s)
			press(s, "M")
			golden(t, fmt.Sprintf("monitored-%dx%d", size[0], size[1]), s)
			press(s, "enter")
			golden(t, fmt.Sprintf("key-%dx%d", size[0], size[1]), s)
			press(s, "?")
			golden(t, fmt.Sprintf("help-%dx%d", size[0], size[1]), s)
		})
	}
}

func TestScreenOfNamespaces(t *testing.T) {
	more := []string{"# Namespaces", `ns0:name="user",keys=900000,bytes=80000000,hits=5000,misses=500,no_ttl=180000,evicted_maxmemory=100,evicted_expired=7,regret=3,ttl_1m=100,ttl_1h=600000,ttl_1d=119900,ttl_7d=0,ttl_more=0`,
		`ns1:name="\x1b]0;title\a\x2c",keys=100000,bytes=1000000,hits=1,misses=0,no_ttl=20000`}
	s, f := screenAt(t, 120, 12, busySeconds(3, more...)...)
	press(s, "2")
	golden(t, "namespaces-counted", s)
	if len(f.scans) != 0 {
		t.Error("keys are scanned though the server counts namespaces")
	}
	press(s, "enter")
	golden(t, "namespace-detail", s)
}

// Everything that a server says is hostile.
func TestHostileServer(t *testing.T) {
	for _, h := range hostile {
		evil := strings.NewReplacer("\n", "\\n", "\r", "\\r").Replace(h)
		s := busy(3)
		text := rewrite(s.Info)
		for _, field := range []string{"redis_version:", "role:", "maxmemory_policy:"} {
			text = strings.Replace(text, field, field+evil, 1)
		}
		text += "# Namespaces\nns0:name=" + evil + ",keys=5\nns1:" + evil + "\n" + evil + "\n"
		s.Name, s.Info = h, info.Parse(text)
		s.Refused = map[string]string{"LATENCY": "no"}
		s.Clients[0].Addr, s.Clients[0].Name, s.Clients[0].Command = h, h, h
		s.SlowLog[0].Call, s.SlowLog[0].Client = callLine([]string{h, h}), h
		screen, _ := screenAt(t, 100, 30, busy(1), s)
		for _, keys := range []string{"1", "2", "enter", "3", "4", "5", "enter", "5", "enter", "6", "enter"} {
			press(screen, keys)
			sound(t, screen)
		}
	}
}

// Every view at every size, however small: nothing panics, nothing is too wide.
func TestEverySize(t *testing.T) {
	s, _ := screenAt(t, 80, 24, busySeconds(5)...)
	for _, keys := range [][]string{{"1"}, {"2"}, {"3"}, {"4"}, {"5"}, {"5"}, {"6"}, {"3", "M", "M"}, {"enter"}, {"esc", "?"}} {
		press(s, keys...)
		for _, w := range []int{0, 1, 2, 3, 7, 10, 17, 19, 33, 60, 79, 100, 300} {
			for _, h := range []int{0, 1, 2, 3, 4, 5, 8, 30, 100} {
				s.Update(tea.WindowSizeMsg{Width: w, Height: h})
				sound(t, s)
			}
		}
		s.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
	}
}

func TestSafe(t *testing.T) {
	for in, want := range map[string]string{
		"plain:key-1": "plain:key-1", "": "", "\x1b[2J": `\x1b[2J`, "a\nb": `a\nb`, "\xff": `\xff`, "\\": `\\`, `"`: `"`, "宽é": "宽é", "a\u202eb": `a\u202eb`, "\u0301": `\u0301`,
		"e\u0301\u0302\u0303": "e\u0301\u0302" + `\u0303`, "\u009b": `\u009b`, "❤\ufe0f": `❤\ufe0f`, "\x7f": `\x7f`, "\u00a0": `\u00a0`, "🇩🇪": `\U0001f1e9\U0001f1ea`,
		"a\u3164\u115fb\u2800": `a\u3164\u115fb\u2800`, "e\u034f": `e\u034f`,
	} {
		if got := safe(in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
}

func FuzzSafe(f *testing.F) {
	for _, h := range hostile {
		f.Add(h, 10)
	}
	f.Fuzz(func(t *testing.T, in string, width int) {
		width = max(min(width, 200), 0)
		s := safe(in)
		for _, r := range s {
			if r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError && !strings.Contains(in, "\ufffd") {
				t.Fatalf("%q is shown as %q", in, s)
			}
		}
		if ansi.Strip(s) != s {
			t.Fatalf("an escape sequence in %q", s)
		}
		for _, right := range []bool{false, true} {
			if w := ansi.StringWidth(fit(s, width, right)); w != width {
				t.Fatalf("%q in %d cells takes %d", s, width, w)
			}
		}
	})
}

func TestKeys(t *testing.T) {
	s, f := screenAt(t, 80, 24, busySeconds(8)...)
	press(s, "4")
	if n := len(f.scans); n != 2 || !s.sweep.Done {
		t.Fatalf("%d steps of the scan", n)
	}
	first := s.table().current().(leader).name
	press(s, "S")
	if s.table().current().(leader).name == first {
		t.Error("S did not turn the order around")
	}
	press(s, "s")
	if tb := s.table(); tb.columns[tb.sort].title != "TYPE" {
		t.Errorf("sorted by %s", tb.columns[tb.sort].title)
	}
	press(s, "/", "L", "o", "n", "g", "q", "backspace", "enter")
	if rows := s.table().rows; len(rows) != 1 || s.typing {
		t.Errorf("%d rows with long", len(rows))
	}
	press(s, "esc")
	if n := len(s.table().rows); n != len(hostile) {
		t.Errorf("%d rows without a filter, want %d", n, len(hostile))
	}
	press(s, "G")
	if s.table().cursor != len(hostile)-1 {
		t.Errorf("the cursor is at %d after G", s.table().cursor)
	}
	press(s, "j", "down", "k", "g", "k")
	if s.table().cursor != 0 {
		t.Errorf("the cursor is at %d after g and k", s.table().cursor)
	}
	press(s, "r")
	if len(f.scans) != 4 {
		t.Errorf("%d steps after r", len(f.scans))
	}
	press(s, "enter")
	if s.panel == nil || s.panel.wait || len(f.details) != 1 {
		t.Errorf("panel %+v, asked for %v", s.panel, f.details)
	}
	press(s, "esc", "tab")
	if s.view != viewCommands || s.panel != nil {
		t.Errorf("view %d after tab", s.view)
	}
	press(s, "+", "+", "+")
	if s.o.Interval != 10*time.Second {
		t.Errorf("interval %v after three +", s.o.Interval)
	}
	press(s, "-", "-", "-", "-", "-", "-", "-", "-")
	if s.o.Interval != 500*time.Millisecond {
		t.Errorf("interval %v after many -", s.o.Interval)
	}
	if _, cmd := s.Update(tea.KeyPressMsg{Text: "q", Code: 'q'}); cmd == nil {
		t.Error("q does nothing")
	} else if _, ok := cmd().(tea.QuitMsg); !ok {
		t.Error("q does not quit")
	}
}

// MONITOR is sent only after its key was pressed twice in a row.
// While there is room among the biggest keys, the type of each is asked for: a dash would say that the server does not tell.
func TestTypesOfSmallKeys(t *testing.T) {
	s, f := screenAt(t, 80, 24, busy(0))
	press(s, "4")
	if len(f.wants) == 0 || f.wants[0].TypeAbove != 0 {
		t.Errorf("%+v", f.wants)
	}
}

// A server that hangs looks alive for as long as its last figures are on the screen, unless the screen says that it waits.
func TestLateAnswer(t *testing.T) {
	s, _ := screenAt(t, 80, 24, busySeconds(2)...)
	const says = "NO ANSWER YET"
	var watched []tea.Msg
	s.after = func(_ time.Duration, msg tea.Msg) tea.Cmd {
		if _, ok := msg.(lateMsg); ok {
			watched = append(watched, msg)
		}
		return nil
	}
	_, read := s.Update(tickMsg{s.ticks})
	if len(watched) != 1 || read == nil {
		t.Fatal("nobody looks after the reading: ", watched)
	}
	s.Update(lateMsg{s.ticks - 1}) // of an earlier reading
	if strings.Contains(s.head(), says) {
		t.Error(s.head())
	}
	s.Update(watched[0])
	if !strings.Contains(s.head(), says) {
		t.Error(s.head())
	}
	s.Update(read())
	s.Update(watched[0])
	if strings.Contains(s.head(), says) {
		t.Error("it has answered: ", s.head())
	}
}

// What was learned of the keys is of the server that had them: another one in its place is scanned anew.
func TestAnotherServer(t *testing.T) {
	id := func(i int, id string) Sample {
		s := busy(i)
		s.Info = info.Parse(strings.Replace(rewrite(s.Info), "run_id:a", "run_id:"+id, 1))
		return s
	}
	s, f := screenAt(t, 80, 24, id(0, "a"), id(1, "a"))
	press(s, "4")
	before := len(f.scans)
	s.Update(readMsg{[]Sample{id(2, "a")}})
	if len(f.scans) != before || s.sweep == nil || !s.sweep.Done {
		t.Fatal(f.scans)
	}
	_, cmd := s.Update(readMsg{[]Sample{id(0, "b")}})
	answer(s, cmd)
	if len(f.scans) != 2*before || s.sweep.Seen != float64(2*len(hostile)) {
		t.Errorf("%d scans, %v keys seen", len(f.scans), s.sweep.Seen)
	}
}

func TestMonitorAsks(t *testing.T) {
	s, f := screenAt(t, 80, 24, busySeconds(3)...)
	press(s, "M") // not in the view of hot keys
	press(s, "3", "M", "j", "M", "esc", "M", "1", "3")
	if f.asked != 0 {
		t.Fatalf("MONITOR was sent %d times without a yes", f.asked)
	}
	press(s, "M", "M")
	if f.asked != 1 || s.monitored == nil {
		t.Fatalf("MONITOR was sent %d times after a yes", f.asked)
	}
}

// While a sample by MONITOR is taken no keys are scanned: it would show them.
func TestNoScanWhileSampling(t *testing.T) {
	s, f := screenAt(t, 80, 24, busySeconds(3)...)
	press(s, "3")
	s.Update(tea.KeyPressMsg{Text: "r", Code: 'r'}) // a scan whose first step is not answered yet
	s.sampling = true
	if _, cmd := s.Update(stepMsg{s.steps}); cmd != nil || !s.scanning {
		t.Error("a step of the scan while a sample is taken")
	}
	n := len(f.scans)
	_, cmd := s.Update(monitoredMsg{})
	answer(s, cmd)
	if len(f.scans) != n+2 || !s.sweep.Done {
		t.Errorf("%d steps after the sample", len(f.scans)-n)
	}
}

// What a view does not show is not asked for.
func TestAskedOnlyWhileSeen(t *testing.T) {
	s, f := screenAt(t, 80, 24, busySeconds(3)...)
	for _, w := range f.reads {
		if w != (Want{}) {
			t.Fatalf("the overview asks for %+v", w)
		}
	}
	if len(f.scans) != 0 {
		t.Error("keys are scanned for the overview")
	}
	s.reading = false
	press(s, "6")
	if w := f.reads[len(f.reads)-1]; w != (Want{Clients: true}) {
		t.Errorf("clients ask for %+v", w)
	}
	s.reading = false
	press(s, "5", "5")
	if w := f.reads[len(f.reads)-1]; w != (Want{SlowLog: true}) {
		t.Errorf("the slow log asks for %+v", w)
	}
}

func TestPause(t *testing.T) {
	s, f := screenAt(t, 80, 24, busySeconds(3)...)
	press(s, "space")
	n := len(f.reads)
	if _, cmd := s.Update(tickMsg{s.ticks}); cmd != nil {
		t.Error("a tick reads while paused")
	}
	press(s, "4")
	if len(f.scans) != 0 || !strings.Contains(sound(t, s), "PAUSED") {
		t.Error("it scans while paused, or does not show that it is")
	}
	press(s, "space")
	if len(f.reads) != n+1 {
		t.Errorf("%d readings after the pause", len(f.reads)-n)
	}
	if _, cmd := s.Update(tickMsg{s.ticks - 1}); cmd != nil {
		t.Error("a tick of before the pause still reads")
	}
}

// A server that is lost: the reason shows, old figures stay, and when another answers there is no negative rate.
func TestLostServer(t *testing.T) {
	lost := Sample{At: 4 * time.Second, Name: "a:1", Err: errors.New("cannot connect to 127.0.0.1:1: refused \x1b[2J")}
	again := reading(9, map[string]int{"total_commands_processed": 5})
	s, f := screenAt(t, 80, 24, append(busySeconds(3), lost)...)
	text := sound(t, s)
	if !strings.Contains(text, `refused \x1b[2J`) || !strings.Contains(text, "1 times so far") || !strings.Contains(text, "commands/s") {
		t.Errorf("a lost server looks like this:\n%s", text)
	}
	f.samples = []Sample{again}
	s.reading = false
	s.Update(s.read()())
	text = sound(t, s)
	if strings.Contains(text, "no answer") || !strings.Contains(text, "counters began anew") || s.track().over.Ops.OK {
		t.Errorf("after it came back:\n%s", text)
	}
	s, _ = screenAt(t, 60, 10, lost)
	if text := sound(t, s); !strings.Contains(text, "refused") {
		t.Errorf("a server that never answered looks like this:\n%s", text)
	}
}

// Nothing that a server says can put an escape sequence on the screen, colours or not.
func TestColours(t *testing.T) {
	s, _ := screenAt(t, 80, 24, busySeconds(8)...)
	for _, k := range []string{"1", "2", "3", "4", "5", "6"} {
		press(s, k)
		s.ink.off = false
		coloured := sound(t, s)
		s.ink.off = true
		if plain := sound(t, s); ansi.Strip(coloured) != plain || coloured == plain {
			t.Errorf("view %s: colours change more than colours", k)
		}
	}
}
