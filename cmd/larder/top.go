package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/larderdb/larder/cmd/larder/internal/top"
	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/store"
)

func newTopCommand() *cobra.Command {
	o := top.Options{Plain: !unicodeTerminal(os.Getenv)}
	var once, asJSON bool
	cmd := &cobra.Command{
		Use:   "top [url]",
		Short: "Watch what a running Larder, Redis or Valkey server does",
		Long: `Watch what a running Larder, Redis or Valkey server does: memory and evictions, hit ratio, latency, namespaces, hot
and big keys, commands, slow calls and clients. It only reads, and shows its own load.

The URL is ` + top.DefaultURL + ` if none is given. It may be redis://, rediss://, redis+unix://,
redis+sentinel://host:26379/master, redis+cluster://host:6379 (its primaries, alone and together), or the https:// address
of a REST service. Press ? for the keys.`,
		Example: `  larder top
  larder top rediss://user:password@cache.example:6380/0
  larder top --once --json redis://127.0.0.1:6379 | jq .overview.hit_ratio`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runTop(cmd, strings.Join(args, ""), o, once, asJSON)
		},
	}
	flags := cmd.Flags()
	flags.DurationVar(&o.Interval, "interval", time.Second, "time between two readings, 100ms or more")
	flags.IntVar(&o.ScanRate, "scan-rate", 1000, "keys a second that scans for big keys, hot keys and namespaces look at; 0 never scans")
	flags.StringVar(&o.Separator, "separator", ":", "what separates the parts of a key, where namespaces are estimated")
	flags.IntVar(&o.Depth, "depth", 1, "how many parts of a key make its namespace, where namespaces are estimated")
	flags.BoolVar(&once, "once", false, "print one reading, over an interval, and exit")
	flags.BoolVar(&asJSON, "json", false, "print it as JSON; with --once")
	return cmd
}

func runTop(cmd *cobra.Command, url string, o top.Options, once, asJSON bool) (err error) {
	switch {
	case o.Interval < 100*time.Millisecond:
		return fmt.Errorf("%w: --interval %v is too short: INFO itself takes the server some tenths of a millisecond; 100ms is the least", store.ErrInvalid, o.Interval)
	case o.ScanRate < 0 || o.ScanRate > 100_000:
		return fmt.Errorf("%w: --scan-rate %d: want 0 to 100000 keys a second", store.ErrInvalid, o.ScanRate)
	case o.Separator == "" || o.Depth < 1:
		return fmt.Errorf("%w: --separator %q --depth %d: want a separator, and a depth of 1 or more", store.ErrInvalid, o.Separator, o.Depth)
	case asJSON && !once:
		return fmt.Errorf("%w: --json goes with --once", store.ErrInvalid)
	}
	clk := clock.System()
	src, err := top.Open(url, clk)
	if err != nil {
		return err
	}
	defer func() {
		if e := src.Close(); err == nil {
			err = e
		}
	}()
	if !once {
		return top.Run(cmd.Context(), src, o, os.Stdin, os.Stdout)
	}
	report, err := top.Once(cmd.Context(), src, clk, o.Interval)
	switch {
	case err != nil && cmd.Context().Err() != nil:
		return context.Cause(cmd.Context())
	case err != nil:
		return err
	case asJSON:
		return report.JSON(cmd.OutOrStdout())
	}
	return report.Text(cmd.OutOrStdout())
}

// unicodeTerminal reads the locale as other programs do: the first that is set decides.
func unicodeTerminal(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := getenv(name); v != "" {
			v = strings.ToLower(v)
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}
