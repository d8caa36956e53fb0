package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/larderdb/larder/cmd/larder/internal/doctor"
	"github.com/larderdb/larder/cmd/larder/internal/progress"
	"github.com/larderdb/larder/store"
)

// The exit codes of doctor besides 0.
const (
	exitFindings  = 1 // something at or above --fail-on was found
	exitCouldNot  = 2 // nothing could be read, or not to the end
	failOnNothing = "never"
)

// exitCode is an error that ends the process with a code of its own. Without a cause nothing is printed: the report has
// said it.
type exitCode struct {
	code  int
	cause error
}

func (e *exitCode) Error() string {
	if e.cause == nil {
		return ""
	}
	return e.cause.Error()
}

func (e *exitCode) Unwrap() error { return e.cause }

// doctorFlags are what the command line says.
type doctorFlags struct {
	options doctor.Options
	full    bool
	json    bool
	quiet   bool
	failOn  string
}

func newDoctorCommand() *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{
		Use:   "doctor [url]",
		Short: "Examine a running Larder, Redis or Valkey server, without changing anything, and say what is wrong",
		Long: `Examine a running server (Larder, Redis, Valkey; alone, behind Sentinel, or every primary of a Cluster) and say what is
wrong with it, by which figure, why that matters and what to do. It only reads, at a bounded rate.

The URL is as elsewhere: redis://user:password@host:6379/0, rediss://, redis+sentinel://, redis+cluster://, https:// for REST.
Without one it is taken from LARDER_URL, REDIS_URL and the like. A password that the URL lacks is taken from LARDER_PASSWORD or
REDISCLI_AUTH.

Exit code: 0 if nothing at or above --fail-on was found, 1 if something was, 2 if the server could not be examined to the end.`,
		Example: `  larder doctor redis://localhost:6379
  larder doctor redis+cluster://10.0.0.1:6379 --full --rate 50000
  larder doctor --json --fail-on critical --ignore missing-ttl "$REDIS_URL" > report.json`,
		Args: func(cmd *cobra.Command, args []string) error { return couldNot(cobra.MaximumNArgs(1)(cmd, args)) },
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return couldNot(err) })
	flags := cmd.Flags()
	flags.IntVar(&f.options.Rate, "rate", doctor.DefaultRate, "keys to look at per second; 0 for as fast as the server answers")
	flags.Int64Var(&f.options.Sample, "sample", doctor.DefaultSample, "keys to look at, at most")
	flags.BoolVar(&f.full, "full", false, "look at all keys")
	flags.DurationVar(&f.options.Timeout, "timeout", 0, "end the scan after this long and report what was seen; 0 for never")
	flags.StringVar(&f.options.Match, "match", "", "look only at keys that match this glob pattern")
	flags.StringVar(&f.options.Separator, "separator", doctor.DefaultSeparator, "what divides the segments of keys")
	flags.IntVar(&f.options.Depth, "depth", doctor.DefaultDepth, "segments of a key that make its namespace")
	flags.StringVar(&f.failOn, "fail-on", "warning", "least severity that makes the exit code 1: critical, warning, notice, or never")
	flags.StringSliceVar(&f.options.Ignore, "ignore", nil, "checks not to make, by name; may be repeated")
	flags.BoolVar(&f.json, "json", false, "write the report as JSON")
	flags.BoolVar(&f.quiet, "no-progress", false, "draw no progress bar")
	return cmd
}

func couldNot(err error) error {
	if err == nil {
		return nil
	}
	return &exitCode{exitCouldNot, err}
}

func (f *doctorFlags) run(cmd *cobra.Command, args []string) error {
	failOn, err := f.check()
	if err != nil {
		return couldNot(err)
	}
	cfg, err := doctorTarget(args)
	if err != nil {
		return couldNot(err)
	}
	report, err := f.examine(cmd, cfg)
	if err != nil {
		return couldNot(err)
	}
	out := cmd.OutOrStdout()
	if f.json {
		err = report.WriteJSON(out)
	} else {
		err = report.WriteText(out, progress.IsTerminal(out) && os.Getenv("NO_COLOR") == "")
	}
	switch {
	case err != nil:
		return couldNot(err)
	case report.Scan.Cancelled:
		return couldNot(fmt.Errorf("the server was not examined to the end: %s", report.Scan.Stopped))
	case failOn > doctor.OK && report.Worst() >= failOn:
		return &exitCode{code: exitFindings}
	}
	return nil
}

// check refuses flags that make no sense. The Severity is OK if no finding is to fail.
func (f *doctorFlags) check() (doctor.Severity, error) {
	if f.options.Rate < 0 || f.options.Sample <= 0 {
		return 0, errors.New("--rate and --sample are numbers of keys; --rate 0 is no bound, --full looks at all")
	}
	if f.options.Rate == 0 {
		f.options.Rate = -1
	}
	if f.full {
		f.options.Sample = -1
	}
	if f.failOn == failOnNothing {
		return doctor.OK, nil
	}
	failOn, err := doctor.ParseSeverity(f.failOn)
	if err != nil || failOn == doctor.OK {
		return 0, fmt.Errorf("--fail-on %q: critical, warning, notice and never are possible", f.failOn)
	}
	return failOn, nil
}

// examine connects and looks. The bar is drawn on stderr, so that stdout is the report alone.
func (f *doctorFlags) examine(cmd *cobra.Command, cfg store.Config) (report *doctor.Report, err error) {
	target, err := doctor.Open(cmd.Context(), cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	f.options.Host = os.DirFS("/")
	if !f.quiet && !f.json || progress.IsTerminal(cmd.ErrOrStderr()) && !f.quiet {
		bar := progress.New(cmd.ErrOrStderr(), "scanning")
		defer bar.Finish()
		f.options.Progress = bar.Update
	}
	return doctor.Run(cmd.Context(), target, f.options)
}

// doctorTarget is the address: the argument, or what the environment says.
func doctorTarget(args []string) (cfg store.Config, err error) {
	ok := true
	if len(args) > 0 {
		cfg, err = store.ParseURL(args[0])
	} else {
		cfg, ok, err = store.FromEnv(os.Getenv)
	}
	switch {
	case err != nil:
		return cfg, err
	case !ok:
		return cfg, errors.New("which server? Give its URL, or set LARDER_URL or REDIS_URL")
	}
	if cfg.Password == "" && cfg.Target != store.REST {
		cfg.Password = cmp.Or(os.Getenv("LARDER_PASSWORD"), os.Getenv("REDISCLI_AUTH"))
	}
	if cfg.ClientName == "" {
		cfg.ClientName = doctor.ClientName
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second // a page may be behind somebody's slow command
	}
	return cfg, nil
}
