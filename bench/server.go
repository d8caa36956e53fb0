package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// server is a running process under measurement.
type server struct {
	name string
	addr string
	port string
	cmd  *exec.Cmd
	log  *os.File
}

// patience bounds starting and stopping.
const patience = 30 * time.Second

// startServer runs a server on a free loopback port, nothing written to disk. Larder and redis-server take the same
// arguments; more are for one of them.
func startServer(ctx context.Context, name, bin, dir string, more ...string) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	_ = l.Close()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	args := []string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"}
	if strings.HasPrefix(filepath.Base(bin), "larder") {
		args = append([]string{"serve"}, args...)
	}
	args = append(args, more...)
	s := &server{name: name, addr: addr, port: port, cmd: exec.CommandContext(ctx, bin, args...)}
	s.cmd.Dir = dir
	if s.log, err = os.CreateTemp(dir, name); err != nil {
		return nil, err
	}
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if conn, err := dial(addr); err == nil {
			_, err = conn.do("PING")
			conn.close()
			if err == nil {
				return s, s.fair()
			}
		}
	}
	s.stop()
	out, _ := os.ReadFile(s.log.Name())
	return nil, fmt.Errorf("%s does not answer on %s: %s", bin, addr, bytes.TrimSpace(out))
}

// fair makes sure that nothing is saved behind the measurement's back.
func (s *server) fair() error {
	conn, err := dial(s.addr)
	if err != nil {
		return err
	}
	defer conn.close()
	for name, want := range map[string]string{"save": "", "appendonly": "no", "maxmemory": "0"} {
		reply, err := conn.do("CONFIG", "GET", name)
		if err != nil {
			return err
		}
		if len(reply) == 2 && reply[1] != want {
			return fmt.Errorf("%s has %s set to %q", s.name, name, reply[1])
		}
	}
	return nil
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(os.Interrupt)
	done := make(chan struct{})
	go func() { _ = s.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		<-done
	}
	_ = s.log.Close()
}

// cpu is the time all threads of the process have spent so far, user and system.
func (s *server) cpu() (time.Duration, error) {
	const ticksPerSecond = 100 // USER_HZ, the same on all architectures Go runs on
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(stat), ") ") // the name before may hold anything
	fields := strings.Fields(rest)
	if !ok || len(fields) < 13 {
		return 0, errors.New("malformed /proc stat")
	}
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		return 0, err
	}
	system, err := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / ticksPerSecond, err
}

// resident is the process's resident set in bytes.
func (s *server) resident() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("no VmRSS in /proc status")
}
