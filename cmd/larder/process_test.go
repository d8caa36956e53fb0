//go:build unix

package main

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestMain lets this test binary be larder itself, for the tests that need a process.
func TestMain(m *testing.M) {
	if os.Getenv("LARDER_TEST_RUN_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestServeUntilSignal(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		port := freePort(t)
		cmd := exec.Command(os.Args[0], "serve", "--port", port, "--bind", "127.0.0.1", "--requirepass", "secret") //nolint:gosec // it is this very binary
		cmd.Env = append(os.Environ(), "LARDER_TEST_RUN_MAIN=1")
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var logged []string
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			logged = append(logged, lines.Text())
			if strings.Contains(lines.Text(), "msg=ready") {
				break
			}
		}
		exchange(t, "127.0.0.1:"+port, "PING", "-NOAUTH")
		exchange(t, "127.0.0.1:"+port, "AUTH secret", "+OK")
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			logged = append(logged, lines.Text())
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v", signal, err)
		}
		all := strings.Join(logged, "\n")
		for _, want := range []string{"msg=listening addr=127.0.0.1:" + port, `msg="shutting down"`, "msg=stopped"} {
			if !strings.Contains(all, want) {
				t.Errorf("%v: no %q in\n%s", signal, want, all)
			}
		}
	}
}

// A server outlives its terminal and whoever reads its log.
func TestServeOutlivesItsTerminal(t *testing.T) {
	port := freePort(t)
	cmd := exec.Command(os.Args[0], "serve", "--port", port, "--bind", "127.0.0.1", "--loglevel", "debug") //nolint:gosec // it is this very binary
	cmd.Env = append(os.Environ(), "LARDER_TEST_RUN_MAIN=1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(stderr); lines.Scan() && !strings.Contains(lines.Text(), "msg=ready"); {
	}
	_ = stderr.Close()
	_ = cmd.Process.Signal(syscall.SIGHUP)
	for range 3 { // each is a line in the log, which nobody reads
		exchange(t, "127.0.0.1:"+port, "PING", "+PONG")
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
