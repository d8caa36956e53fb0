package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/larderdb/larder/internal/config"
)

// fakeServer serves nothing until it is closed.
type fakeServer struct {
	serving chan struct{}
	failure error
	closed  chan struct{}
	once    sync.Once
}

func newFakeServer(failure error) *fakeServer {
	return &fakeServer{serving: make(chan struct{}, 10), failure: failure, closed: make(chan struct{})}
}

func (f *fakeServer) ServeContext(context.Context, net.Listener) error {
	f.serving <- struct{}{}
	if f.failure != nil {
		return f.failure
	}
	<-f.closed
	return nil
}

func (f *fakeServer) Close() error {
	f.once.Do(func() { close(f.closed) })
	return nil
}

func twoListeners(t *testing.T) []net.Listener {
	t.Helper()
	var listeners []net.Listener
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, l)
	}
	t.Cleanup(func() { closeAll(listeners) })
	return listeners
}

func TestRunEndsWithContext(t *testing.T) {
	var logged bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logged, nil))
	ctx, stop := context.WithCancelCause(t.Context())
	db := newFakeServer(nil)
	ended := make(chan error)
	go func() { ended <- run(ctx, log, db, newSockets(db, twoListeners(t), nil)) }()
	<-db.serving
	<-db.serving
	stop(errors.New("terminated"))
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, want := range []string{"msg=ready", `msg="shutting down" reason=terminated`, "msg=stopped"} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("no %q in\n%s", want, logged.String())
		}
	}
}

func TestRunEndsWithListener(t *testing.T) {
	failure := errors.New("accept failed")
	db := newFakeServer(failure)
	err := run(t.Context(), slog.New(slog.DiscardHandler), db, newSockets(db, twoListeners(t), nil))
	if !errors.Is(err, failure) {
		t.Error(err)
	}
}

func TestLogLevelFollowsConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	c := settings(t, "--logfile", path, "--loglevel", "warning")
	log, closeLog, err := openLog(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("one")
	if err := c.Set(config.Remote, config.Pair{Name: "loglevel", Value: "verbose"}); err != nil {
		t.Fatal(err)
	}
	log.Info("two")
	if err := c.Set(config.Remote, config.Pair{Name: "loglevel", Value: "nothing"}); err != nil {
		t.Fatal(err)
	}
	log.Error("three")
	if err := closeLog(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil || strings.Count(string(content), "\n") != 1 || !strings.Contains(string(content), "msg=two") {
		t.Errorf("%s %v", content, err)
	}
}

func TestPidFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	remove, err := writePid(path)
	if err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(path); err != nil || len(content) < 2 {
		t.Error(content, err)
	}
	if err := remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error("the file is still there")
	}
	if _, err := writePid("/no/such/folder/pid"); err == nil {
		t.Error("wrote into a folder that does not exist")
	}
}

// TestMissingIsRefused: what CONFIG SET asks for and is not there.
func TestMissingIsRefused(t *testing.T) {
	for _, debug := range []string{"no", "yes"} {
		c := settings(t, "--enable-debug-command", debug)
		refuseWhatIsMissing(c, slog.New(slog.DiscardHandler))
		for name, value := range map[string]string{"appendonly": "yes", "tls-replication": "yes", "tls-key-file-pass": "x"} {
			err := c.Set(config.Remote, config.Pair{Name: name, Value: value})
			if want := name == "appendonly" && debug == "yes"; (err == nil) != want {
				t.Errorf("%s %s with debug %s: %v", name, value, debug, err)
			}
		}
	}
}

// A server knows the scripts of every pattern that has some: their folders are asked.
func TestServerKnowsEveryPattern(t *testing.T) {
	known := map[string]bool{}
	for _, s := range patternScripts() {
		pattern, _, _ := strings.Cut(s.Name, ".")
		known[pattern] = true
	}
	files, err := filepath.Glob("../../*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte("\nfunc Scripts() []*store.Script")) {
			continue
		}
		found++
		if pattern := filepath.Base(filepath.Dir(name)); !known[pattern] {
			t.Errorf("patternScripts leaves out %s", pattern)
		}
	}
	if found < 2 {
		t.Errorf("%d patterns with scripts", found)
	}
}
