// Package redistest starts real redis-server processes for tests that compare Larder with Redis or run a pattern
// against it. Servers listen on a free loopback port, keep nothing on disk outside the test's folder, and are stopped
// by process id when the test ends.
//
// The binary is redis-server from PATH, or what LARDER_REDIS_SERVER names (valkey-server, say). Where there is none,
// the test is skipped; with CI=true it fails, so that a build machine cannot lose its coverage unnoticed.
package redistest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds how long a server may take to start or stop.
const patience = 20 * time.Second

// Server is a running redis-server. Its methods are for one goroutine at a time.
type Server struct {
	Addr string // 127.0.0.1:port; stays the same across Restart
	Port int

	t    testing.TB
	bin  string
	dir  string
	args []string
	proc *process // nil while stopped

	saved bool // the next Restart finds the data
}

// process is one run of the binary.
type process struct {
	cmd   *exec.Cmd
	ready chan struct{} // closed at the log line that says so
	done  chan struct{} // closed when the process has ended
	mu    sync.Mutex
	log   bytes.Buffer // guarded by mu
}

// Start runs a server with further arguments as on redis-server's command line ("--requirepass", "secret") and waits
// until it accepts connections.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := prepare(t, args...)
	for attempt := 1; ; attempt++ {
		s.listenAt(FreePort(t))
		err := s.launch()
		if err == nil {
			return s
		}
		// Somebody else may have taken the port in between.
		if attempt == 5 {
			t.Fatalf("redistest: %v", err)
		}
	}
}

// prepare makes a Server that does not run yet and has no port.
func prepare(t testing.TB, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, bin: binary(t), dir: t.TempDir(), args: args}
	t.Cleanup(s.Stop)
	return s
}

func (s *Server) listenAt(port int) {
	s.Port = port
	s.Addr = address(port)
}

// Found tells whether there is a redis-server to start.
func Found() bool {
	_, err := exec.LookPath(binaryName())
	return err == nil
}

func binaryName() string {
	if name := os.Getenv("LARDER_REDIS_SERVER"); name != "" {
		return name
	}
	return "redis-server"
}

// binary finds the server or ends the test.
func binary(t testing.TB) string {
	t.Helper()
	name := binaryName()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("redistest: %v; install redis-server or set LARDER_REDIS_SERVER", err)
	}
	t.Skipf("redistest: no %s in PATH: install it, or set LARDER_REDIS_SERVER, to run this test", name)
	return ""
}

// launch runs the binary on s.Port and waits until it is ready.
func (s *Server) launch() error {
	args := s.args
	var file []string
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") { // a configuration file comes first
		file, args = args[:1], args[1:]
	}
	words := append(file, "--port", strconv.Itoa(s.Port), "--bind", "127.0.0.1", "--dir", s.dir,
		"--save", "", "--appendonly", "no", "--daemonize", "no", "--databases", "16", "--enable-debug-command", "local",
		"--repl-diskless-sync", "no")
	p := &process{cmd: exec.Command(s.bin, append(words, args...)...), ready: make(chan struct{}), done: make(chan struct{})}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	p.cmd.Stderr = p.cmd.Stdout
	if err := p.start(out); err != nil {
		return err
	}
	select {
	case <-p.ready:
		s.proc = p
		return nil
	case <-p.done:
		return fmt.Errorf("%s ended at once:\n%s", s.bin, p.text())
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s is not ready after %v:\n%s", s.bin, patience, p.text())
	}
}

// start runs the process and a goroutine that reads its log. On Linux the server dies with the thread that started
// it, so that a test binary which panics or times out leaves no server behind; the goroutine keeps that thread.
func (p *process) start(out io.Reader) error {
	dieWithParent(p.cmd)
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.watch(out)
		}
	}()
	return <-started
}

// watch reads the server's log to its end.
func (p *process) watch(out io.Reader) {
	defer close(p.done)
	announced := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := lines.Text()
		p.mu.Lock()
		p.log.WriteString(line + "\n")
		p.mu.Unlock()
		// A sentinel never says that it is ready, but "Sentinel ID is" comes after it listens.
		if !announced && (strings.Contains(line, "eady to accept connections") || strings.Contains(line, "Sentinel ID is")) {
			announced = true
			close(p.ready)
		}
	}
	_ = p.cmd.Wait()
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// Stop ends the server as a crash would: without a goodbye to its clients. A stopped server is left alone.
func (s *Server) Stop() {
	if s.proc == nil {
		return
	}
	_ = s.proc.cmd.Process.Kill()
	<-s.proc.done
	s.proc = nil
}

// Restart starts a stopped server again at the same address. Nothing of its data is left, unless StopKeeping ended it.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	if !s.saved {
		_ = os.Remove(filepath.Join(s.dir, "dump.rdb")) // a replica leaves one behind after it was synchronized
	}
	s.saved = false
	err := s.launch()
	for deadline := time.Now().Add(patience); err != nil && inUse(err) && time.Now().Before(deadline); err = s.launch() {
		time.Sleep(50 * time.Millisecond) // a program that knows nothing of FreePort may have it for a moment
	}
	if err != nil {
		s.t.Fatalf("redistest: %v", err)
	}
}

// inUse tells whether a server could not be launched because somebody else has its port.
func inUse(err error) bool { return strings.Contains(err.Error(), "Address already in use") }

// RestartAs is Restart with other arguments than those of Start.
func (s *Server) RestartAs(args ...string) {
	s.t.Helper()
	s.args = args
	s.Restart()
}

// StopKeeping ends the server in such a way that the next Restart finds all that it ever confirmed: for its clients the same as Stop
// of a server whose persistence loses nothing.
func (s *Server) StopKeeping() {
	s.t.Helper()
	_, _ = s.Try("SHUTDOWN", "SAVE", "NOW", "FORCE") // it closes the connection instead of answering
	select {
	case <-s.proc.done:
	case <-time.After(patience):
		s.t.Fatal("redistest: the server does not shut down")
	}
	s.proc, s.saved = nil, true
}

// Eventually asks again until ok, and ends the test if that takes too long. What other processes do gives no event to wait for.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("redistest: waited in vain for %s", what)
		}
	}
}

// PID is the server's process id, for tests that measure it.
func (s *Server) PID() int { return s.proc.cmd.Process.Pid }

// URL is the address as store.ParseURL takes it.
func (s *Server) URL() string { return "redis://" + s.Addr }

// Do sends one command over a connection of its own and returns the reply roughly as text. It is for setting up and
// for looking in from outside, not for comparing replies. An error reply or a broken connection ends the test.
func (s *Server) Do(args ...string) string {
	s.t.Helper()
	text, err := s.Try(args...)
	if err != nil {
		s.t.Fatalf("redistest: %v: %v", args, err)
	}
	return text
}

// Try is Do for commands that may fail.
func (s *Server) Try(args ...string) (string, error) {
	conn, err := net.DialTimeout("tcp", s.Addr, patience)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(conn, "$%d\r\n%s\r\n", len(a), a)
	}
	return readReply(bufio.NewReader(conn))
}

func readReply(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", errors.New("empty reply")
	}
	body := line[1:]
	switch line[0] {
	case '+', ':':
		return body, nil
	case '-':
		return "", errors.New(body)
	}
	n, err := strconv.Atoi(body)
	if err != nil || n < 0 {
		return "", err
	}
	if line[0] == '$' {
		b := make([]byte, n+2)
		_, err := io.ReadFull(r, b)
		return string(b[:n]), err
	}
	var all []string
	for range n {
		e, err := readReply(r)
		if err != nil {
			return "", err
		}
		all = append(all, e)
	}
	return strings.Join(all, "\n"), nil
}
