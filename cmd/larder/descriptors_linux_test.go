package main

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// limited starts a server that may have so many files open, and tells what it logs.
func limited(t *testing.T, files int, args ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	script := []string{"-c", "ulimit -n " + strconv.Itoa(files) + `; exec "$@"`, "sh", os.Args[0], "serve", "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir()}
	cmd := exec.Command("sh", append(script, args...)...) //nolint:gosec // it is this very binary
	cmd.Env = append(os.Environ(), "LARDER_TEST_RUN_MAIN=1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(stderr)
}

// logged reads on until a line has a text in it.
func logged(t *testing.T, log *bufio.Scanner, text string) {
	t.Helper()
	for log.Scan() {
		if strings.Contains(log.Text(), text) {
			return
		}
	}
	t.Fatalf("not logged: %s", text)
}

// Where the limit of open files is low, so is maxclients: who is one too many is told so.
func TestServeFewDescriptors(t *testing.T) {
	port := freePort(t)
	c, log := limited(t, 40, "--port", port, "--maxclients", "1000")
	logged(t, log, "maxclients=8 limit=40")
	logged(t, log, "msg=ready")
	var open []net.Conn
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		return conn
	}
	for range 8 {
		open = append(open, dial())
		converse(t, open[len(open)-1], "PING", "+PONG")
	}
	for range 60 { // more than there are descriptors
		if answer, err := bufio.NewReader(dial()).ReadString('\n'); answer != "-ERR max number of clients reached\r\n" {
			t.Fatalf("the ninth client: %q, %v", answer, err)
		}
	}
	converse(t, open[0], "CONFIG SET maxclients 8", "+OK")
	converse(t, open[0], "CONFIG SET maxclients 9", "-ERR CONFIG SET failed (possibly related to argument 'maxclients') - "+
		"The operating system is not able to handle the specified number of clients, try with 8")
	_ = c.Process.Signal(os.Interrupt)
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
}

func TestServeWithoutAnyDescriptors(t *testing.T) {
	c, log := limited(t, 20, "--port", freePort(t))
	logged(t, log, "the limit of open files, 20, is not enough")
	if err := c.Wait(); err == nil {
		t.Error("it ended well")
	}
}

// With no file descriptor left whoever is connected is served as before, others are turned away or wait, the log stays
// short, and once descriptors are free again everybody is served.
func TestServeWithoutDescriptors(t *testing.T) {
	port, web := freePort(t), freePort(t)
	addr := "127.0.0.1:" + port
	cmd, log := limited(t, 64, "--port", port, "--metrics", "127.0.0.1:"+web)
	logged(t, log, "msg=ready")
	lines := make(chan int)
	go func() {
		n := 0
		for ; log.Scan(); n++ {
		}
		lines <- n
	}()
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
