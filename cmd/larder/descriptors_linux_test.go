package main

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// With no file descriptor left whoever is connected is served as before, others are turned away or wait, the log stays
// short, and once descriptors are free again everybody is served.
func TestServeWithoutDescriptors(t *testing.T) {
	port, web := freePort(t), freePort(t)
	addr := "127.0.0.1:" + port
	cmd := exec.Command("sh", "-c", `ulimit -n 64; exec "$@"`, "sh", os.Args[0], "serve", "--port", port, "--bind", "127.0.0.1", //nolint:gosec // it is this very binary
		"--save", "", "--dir", t.TempDir(), "--metrics", "127.0.0.1:"+web)
	cmd.Env = append(os.Environ(), "LARDER_TEST_RUN_MAIN=1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready, lines := make(chan bool), make(chan int)
	go func() {
		n := 0
		for s := bufio.NewScanner(stderr); s.Scan(); n++ {
			if strings.Contains(s.Text(), "msg=ready") {
				close(ready)
			}
		}
		lines <- n
	}()
	<-ready
	first, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	var open []net.Conn
	for _, to := range []string{addr, "127.0.0.1:" + web} {
		for range 100 {
			if c, err := net.Dial("tcp", to); err == nil {
				open = append(open, c)
			}
		}
		for range 20 { // over some of the pauses between attempts to accept
			_ = first.SetDeadline(time.Now().Add(20 * time.Second))
			converse(t, first, "BLPOP none 0.02", "*-1")
		}
	}
	for _, c := range open {
		_ = c.Close()
	}
	for until := time.Now().Add(20 * time.Second); ; {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			_ = c.SetDeadline(time.Now().Add(time.Second))
			_, _ = c.Write([]byte("PING\r\n"))
			answer, _ := bufio.NewReader(c).ReadString('\n')
			_ = c.Close()
			if answer == "+PONG\r\n" {
				break
			}
		}
		if time.Now().After(until) {
			t.Error("nobody is served after descriptors were free again")
			break
		}
	}
	_ = cmd.Process.Signal(os.Interrupt)
	if n := <-lines; n > 2000 {
		t.Errorf("%d lines in the log", n)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
