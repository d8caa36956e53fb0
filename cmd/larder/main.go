// Command larder runs Larder as a server, and shows what it is good for.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newRootCommand().ExecuteContext(ctx)
	stop()
	if err != nil {
		code, own := 1, new(exitCode)
		if errors.As(err, &own) {
			code = own.code
		}
		if err.Error() != "" {
			fmt.Fprintln(os.Stderr, "larder:", err)
		}
		os.Exit(code)
	}
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "larder",
		Short:         "A performance layer for Go services: an in-memory store that speaks Redis, and what people build on it",
		SilenceErrors: true, // main prints them
		SilenceUsage:  true, // a port in use is no question of usage
	}
	root.AddCommand(newServeCommand(), newDoctorCommand(), newDemoCommand(), newTopCommand(), newVersionCommand())
	return root
}
