package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"testing"
)

// Both implementations must pass the same script.
func TestFileSystems(t *testing.T) {
	for name, sys := range map[string]FS{"os": OS(), "mem": NewMem(), "faults": WithFaults(NewMem(), noFault)} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "a", "b")
			if _, err := sys.Open(filepath.Join(dir, "x")); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("Open of a missing file: %v", err)
			}
			if _, err := sys.Create(filepath.Join(dir, "x")); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("Create in a missing folder: %v", err)
			}
			ok(t, sys.MkdirAll(dir, 0o755))
			ok(t, sys.MkdirAll(dir, 0o755))
			script(t, sys, dir)
		})
	}
}

func script(t *testing.T, sys FS, dir string) {
	x, y := filepath.Join(dir, "x"), filepath.Join(dir, "y")
	f := must(sys.Create(x))(t)
	write(t, f, "hello world")
	ok(t, f.Sync())
	ok(t, f.Truncate(5))
	ok(t, f.Close())
	if err := f.Close(); !errors.Is(err, fs.ErrClosed) {
		t.Fatalf("second Close: %v", err)
	}

	f = must(sys.OpenAppend(x))(t)
	write(t, f, ", you")
	if info, err := f.Stat(); err != nil || info.Size() != 10 || info.IsDir() {
		t.Fatalf("Stat: %v %v", info, err)
	}
	ok(t, f.Close())

	f = must(sys.Open(x))(t)
	if _, err := f.Write([]byte("no")); err == nil {
		t.Fatal("wrote to a file opened for reading")
	}
	if all, err := io.ReadAll(f); err != nil || string(all) != "hello, you" {
		t.Fatalf("read %q %v", all, err)
	}
	p := make([]byte, 4)
	if n, err := f.ReadAt(p, 7); n != 3 || err != io.EOF {
		t.Fatalf("ReadAt past the end: %d %v", n, err)
	}
	if _, err := f.ReadAt(p, 3); err != nil || string(p) != "lo, " {
		t.Fatalf("ReadAt: %q %v", p, err)
	}
	if f.Name() != x {
		t.Fatalf("Name %q", f.Name())
	}
	ok(t, f.Close())

	must(sys.Create(y))(t).Close()
	ok(t, sys.Rename(x, y))
	ok(t, sys.SyncDir(dir))
	if _, err := sys.Stat(x); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the old name is still there: %v", err)
	}
	if info, err := sys.Stat(y); err != nil || info.Size() != 10 || info.Name() != "y" {
		t.Fatalf("Stat: %v %v", info, err)
	}
	must(sys.Create(x))(t).Close()
	entries, err := sys.ReadDir(dir)
	if err != nil || len(entries) != 2 || entries[0].Name() != "x" || entries[1].Name() != "y" {
		t.Fatalf("ReadDir: %v %v", entries, err)
	}
	if err := sys.Remove(dir); err == nil {
		t.Fatal("removed a folder with files in it")
	}
	ok(t, sys.Remove(x))
	ok(t, sys.Remove(y))
	ok(t, sys.Remove(dir))
	if err := sys.Remove(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("second Remove: %v", err)
	}
}

func TestCrashKeepsWhatWasSynced(t *testing.T) {
	m := NewMem()
	f := must(m.Create("log"))(t)
	ok(t, m.SyncDir("."))
	write(t, f, "durable|")
	ok(t, f.Sync())
	write(t, f, "lost")
	must(m.Create("forgotten"))(t).Sync()
	rng := rand.New(rand.NewPCG(1, 2))
	if got := contents(t, m.CrashClone(rng, 0)); !maps.Equal(got, map[string]string{"log": "durable|"}) {
		t.Fatalf("after the crash: %q", got)
	}
	if got := contents(t, m.CrashClone(rng, 1)); !maps.Equal(got, contents(t, m)) {
		t.Fatalf("with everything surviving: %q", got)
	}
	ok(t, m.Rename("log", "log2"))
	for range 20 {
		got := contents(t, m.CrashClone(rng, 0.5))
		if _, a := got["log"]; a == (got["log2"] != "") {
			t.Fatalf("an unsynced rename left %q", got)
		}
	}
	if got := contents(t, m.CrashClone(rng, 0)); !maps.Equal(got, map[string]string{"log": "durable|"}) {
		t.Fatalf("an unsynced rename: %q", got)
	}
	ok(t, m.SyncDir("."))
	if got := contents(t, m.CrashClone(rng, 0)); !maps.Equal(got, map[string]string{"forgotten": "", "log2": "durable|"}) {
		t.Fatalf("a synced rename: %q", got)
	}
}

// A torn tail ends anywhere, and each of its blocks is either what was written or zeros.
func TestCrashTearsTheTail(t *testing.T) {
	m := NewMem()
	f := must(m.Create("log"))(t)
	ok(t, m.SyncDir("."))
	write(t, f, string(bytes.Repeat([]byte{'s'}, 700)))
	ok(t, f.Sync())
	write(t, f, string(bytes.Repeat([]byte{'u'}, 5000)))
	lengths, holes := map[int]bool{}, 0
	for seed := range uint64(200) {
		got := contents(t, m.CrashClone(rand.New(rand.NewPCG(seed, 0)), 0.5))["log"]
		if len(got) < 700 || len(got) > 5700 {
			t.Fatalf("seed %d: length %d", seed, len(got))
		}
		lengths[len(got)] = true
		for i, c := range got {
			switch {
			case i < 700 && c != 's', i >= 700 && c != 'u' && c != 0:
				t.Fatalf("seed %d: byte %d is %q", seed, i, c)
			case c == 0:
				holes++
			}
		}
	}
	if len(lengths) < 20 || holes == 0 {
		t.Fatalf("crashes are not random: %d lengths, %d holes", len(lengths), holes)
	}
}

// Random writing against a model that keeps whole copies.
func TestMemAgainstModel(t *testing.T) {
	seed := rand.Uint64()
	defer func() { t.Logf("seed %d", seed) }()
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		m := NewMem()
		f := must(m.OpenAppend("f"))(t)
		ok(t, m.SyncDir("."))
		var now, synced []byte
		for range 50 {
			switch rng.IntN(4) {
			case 0:
				ok(t, f.Sync())
				synced = bytes.Clone(now)
			case 1:
				n := rng.IntN(len(now) + 10)
				ok(t, f.Truncate(int64(n)))
				if n <= len(now) {
					now = now[:n:n]
				} else {
					now = append(now, make([]byte, n-len(now))...)
				}
			default:
				p := fmt.Appendf(nil, "%x", rng.Uint64N(1<<rng.IntN(64)+1))
				write(t, f, string(p))
				now = append(now, p...)
			}
			if got := contents(t, m)["f"]; got != string(now) {
				t.Fatalf("seed %d: file is %q, want %q", seed, got, now)
			}
			if got := contents(t, m.CrashClone(rng, 0))["f"]; got != string(synced) {
				t.Fatalf("seed %d: crashed file is %q, want %q", seed, got, synced)
			}
		}
	}
}

func TestFaults(t *testing.T) {
	boom := errors.New("boom")
	var failing Op
	short := -1
	sys := WithFaults(NewMem(), func(op Op, name string) error {
		if op != failing {
			return nil
		}
		if short >= 0 {
			return &ShortWrite{short, boom}
		}
		return boom
	})
	f := must(sys.Create("f"))(t)
	ops := map[Op]func() error{
		OpOpen:     func() error { _, err := sys.Open("f"); return err },
		OpCreate:   func() error { _, err := sys.Create("g"); return err },
		OpAppend:   func() error { _, err := sys.OpenAppend("g"); return err },
		OpChmod:    func() error { return sys.Chmod("f", 0o600) },
		OpRename:   func() error { return sys.Rename("f", "g") },
		OpRemove:   func() error { return sys.Remove("f") },
		OpStat:     func() error { _, err := sys.Stat("f"); return err },
		OpReadDir:  func() error { _, err := sys.ReadDir("."); return err },
		OpMkdir:    func() error { return sys.MkdirAll("d", 0o755) },
		OpSyncDir:  func() error { return sys.SyncDir(".") },
		OpRead:     func() error { _, err := f.Read(make([]byte, 1)); return err },
		OpWrite:    func() error { _, err := f.Write([]byte("x")); return err },
		OpSync:     f.Sync,
		OpTruncate: func() error { return f.Truncate(0) },
	}
	for op, do := range ops {
		failing = op
		if err := do(); !errors.Is(err, boom) {
			t.Errorf("%s: %v", op, err)
		}
	}
	failing, short = OpWrite, 2
	if n, err := f.Write([]byte("hello")); n != 2 || !errors.Is(err, boom) {
		t.Fatalf("short write: %d %v", n, err)
	}
	failing, short = OpClose, -1
	if err := f.Close(); !errors.Is(err, boom) {
		t.Fatalf("Close: %v", err)
	}
	failing = ""
	if got := contents(t, sys); !maps.Equal(got, map[string]string{"f": "he"}) {
		t.Fatalf("failed operations left %q", got)
	}
}

func noFault(Op, string) error { return nil }

func contents(t *testing.T, sys FS) map[string]string {
	t.Helper()
	entries, err := sys.ReadDir(".")
	ok(t, err)
	all := map[string]string{}
	for _, e := range entries {
		f := must(sys.Open(e.Name()))(t)
		b, err := io.ReadAll(f)
		ok(t, err)
		all[e.Name()] = string(b)
	}
	return all
}

func must(f File, err error) func(*testing.T) File {
	return func(t *testing.T) File { t.Helper(); ok(t, err); return f }
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, f File, s string) {
	t.Helper()
	if n, err := f.Write([]byte(s)); err != nil || n != len(s) {
		t.Fatalf("Write: %d %v", n, err)
	}
}
