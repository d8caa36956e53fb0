// Bench holds Larder against redis-server, side by side in one run, and prints one table: what was measured, both
// figures, their ratio, and whether it reaches what the plan asks for.
//
// Absolute figures say little: they change with the machine and with who else is using it. So both servers are up at
// once, loaded in turn (larder, redis, redis, larder, ...), and what counts is the median of the ratios of
// neighbouring measurements, printed with their spread. The load generator is redis-benchmark, for both alike; the
// server's own CPU time comes from the kernel. What has no counterpart in Redis (calls inside the process, the
// collector) stands with its absolute figure, measured in a process of its own.
//
//	go run . [-rounds n] [-quick] [-rows regexp] [-larder binary] [-redis binary] [-traces folder]
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
)

// options are the command line.
type options struct {
	rounds int
	quick  bool // a tenth of the keys and requests: to see that it works, not how fast it is
	rows   *regexp.Regexp
	larder string // path of the server under test
	redis  string // path of redis-server
	traces string // folder of recorded traces; empty: there are none
}

// scaled is n, or a tenth in a quick run.
func (o options) scaled(n int) int {
	if o.quick {
		return n / 10
	}
	return n
}

func main() {
	// Interrupted, it stops its servers and prints what it has.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	rounds := flags.Int("rounds", 5, "measurements of each side")
	quick := flags.Bool("quick", false, "a tenth of the work: to see that it runs")
	rows := flags.String("rows", "", "regular expression of the rows to run")
	larder := flags.String("larder", "", "server under test; empty: build ./cmd/larder. A redis-server works too")
	redis := flags.String("redis", "redis-server", "server to hold it against")
	traces := flags.String("traces", os.Getenv("LARDER_TRACES"), "folder of recorded traces, NAME.keys.gz with one key a line, for hit ratios; empty: generated ones only")
	child := flags.String("child", "", "internal: run one measurement in this process")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o := options{rounds: *rounds, quick: *quick, larder: binary(*larder), redis: binary(*redis), traces: *traces}
	if *child != "" {
		return runChild(*child, o, stdout)
	}
	var err error
	if o.rows, err = regexp.Compile(*rows); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "larder-bench")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if o.larder == "" {
		if o.larder, err = buildLarder(dir); err != nil {
			return err
		}
	}
	fmt.Fprintln(stdout, environment(o))
	return measure(ctx, o, dir, stdout, stderr)
}

// measure runs every row that was asked for; one that cannot be measured says why and does not hold up the others.
func measure(ctx context.Context, o options, dir string, stdout, stderr io.Writer) error {
	var t table
	for _, r := range allRows() {
		if ctx.Err() != nil {
			break
		}
		if !o.rows.MatchString(r.name) {
			continue
		}
		fmt.Fprintln(stderr, "...", r.name)
		lines, err := r.measure(ctx, o, dir)
		if err != nil {
			t.failed(r.name, err)
			continue
		}
		t.lines = append(t.lines, lines...)
	}
	return t.print(stdout)
}

// buildLarder builds the server in its own module, with that module's dependencies.
func buildLarder(dir string) (string, error) {
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/larderdb/larder").Output()
	if err != nil {
		return "", fmt.Errorf("where is larder? Run bench in its own folder: %w", err)
	}
	bin := filepath.Join(dir, "larder")
	cmd := exec.Command("go", "build", "-o", bin, "./cmd/larder")
	cmd.Dir = strings.TrimSpace(string(module))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return bin, nil
}

// environment is the line above the table: without it figures mean nothing.
func environment(o options) string {
	version, _ := exec.Command(o.redis, "--version").Output()
	cpu := "unknown CPU"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d CPUs (%s), %s; against %s", runtime.Version(), runtime.NumCPU(), cpu, runtime.GOOS+"/"+runtime.GOARCH,
		strings.TrimSpace(string(version)))
}

// binary is a path that holds in any folder: servers start in one of their own.
func binary(path string) string {
	if full, err := filepath.Abs(path); err == nil && strings.ContainsRune(path, filepath.Separator) {
		return full
	}
	return path
}
