package top

import (
	"context"
	"errors"
	"io"
	"os"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/term"
)

// Run shows the screen until the user quits or ctx ends.
func Run(ctx context.Context, src Reader, o Options, in, out *os.File) error {
	if !term.IsTerminal(out.Fd()) || !term.IsTerminal(in.Fd()) {
		return ErrNoTerminal
	}
	return run(ctx, src, o, in, out)
}

// run is Run on any pair of streams. What waits for a server ends with it.
func run(ctx context.Context, src Reader, o Options, in io.Reader, out io.Writer, more ...tea.ProgramOption) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	opts := append([]tea.ProgramOption{tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out)}, more...)
	_, err := tea.NewProgram(NewScreen(ctx, src, o), opts...).Run()
	if errors.Is(err, tea.ErrInterrupted) || errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		return nil // it was told to end
	}
	return err
}
