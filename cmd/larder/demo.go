package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/larderdb/larder/cmd/larder/internal/demo"
)

func newDemoCommand() *cobra.Command {
	var o demo.Options
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a small shop on a real database, without and with Larder, and compare",
		Long: `Run a small shop on a real database under load, first straight on the database, then with Larder in
between: featured products, product pages and categories cached for 300 s, profiles as hashes, 100 requests a minute
for each client. Prints one table and stays up for you to try.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out = cmd.OutOrStdout()
			err := demo.Run(cmd.Context(), o)
			if err != nil && cmd.Context().Err() != nil {
				return context.Cause(cmd.Context()) // whatever it was in, it was interrupted
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Addr, "addr", "127.0.0.1:8080", "address of the shop with Larder")
	flags.StringVar(&o.Database, "database", "", "postgres:// URL to use instead of SQLite in a temporary file")
	flags.StringVar(&o.Store, "store", "", "URL of a Redis, Valkey or Larder server to use instead of the embedded store")
	flags.DurationVar(&o.Duration, "duration", 10*time.Second, "length of each of the two runs")
	flags.IntVar(&o.Products, "products", 100_000, "number of products")
	flags.IntVar(&o.Clients, "clients", 20_000, "number of simulated clients; a few abusive ones come on top")
	flags.IntVar(&o.Connections, "connections", 32, "number of HTTP connections that carry their requests")
	flags.Uint64Var(&o.Seed, "seed", 1, "seed of the data and of the load")
	flags.BoolVar(&o.Once, "once", false, "exit after the table")
	return cmd
}
