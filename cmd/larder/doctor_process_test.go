//go:build unix

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/larderdb/larder/internal/redistest"
)

// Ctrl-C in the middle prints what was found until then.
func TestDoctorInterrupted(t *testing.T) {
	s := redistest.Start(t)
	for i := range 40 {
		words := []string{"MSET"}
		for j := range 500 {
			words = append(words, fmt.Sprintf("page:%d", 500*i+j), "x")
		}
		s.Do(words...)
	}
	cmd := exec.Command(os.Args[0], "doctor", s.URL(), "--full", "--rate", "10000") //nolint:gosec // it is this very binary
	cmd.Env = append(os.Environ(), "LARDER_TEST_RUN_MAIN=1")
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	var told []string
	for lines.Scan() {
		told = append(told, lines.Text())
		if strings.Contains(lines.Text(), " 25 %") {
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
	err = cmd.Wait()
	exit := new(exec.ExitError)
	if !errors.As(err, &exit) || exit.ExitCode() != exitCouldNot {
		t.Errorf("%v; %q", err, told)
	}
	if out := stdout.String(); !strings.Contains(out, "STOPPED   interrupted") || !strings.Contains(out, "maxmemory is 0") || !strings.Contains(out, "[missing-ttl]") {
		t.Error(out)
	}
}
