package difftest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// Options say how much to generate.
type Options struct {
	Seed      uint64 // 0: another one each time; the variable LARDER_DIFF_SEED goes before
	Sequences int    // per family and protocol; the variable LARDER_DIFF_SEQUENCES goes before
	Length    int    // commands in a sequence
}

// Generated runs random sequences of every family in both protocols. A failing one is shrunk to the fewest commands
// that still fail and printed in the form of the scripts, with the seed that brings it back.
func Generated(t *testing.T, oracle, target Dialer, o Options) {
	o.Seed = fromEnvironment("LARDER_DIFF_SEED", o.Seed)
	o.Sequences = int(fromEnvironment("LARDER_DIFF_SEQUENCES", uint64(o.Sequences)))
	if o.Seed == 0 {
		o.Seed = uint64(time.Now().UnixNano())
	}
	t.Logf("LARDER_DIFF_SEED=%d", o.Seed)
	all := families()
	for i, f := range all {
		for proto := 2; proto <= 3; proto++ {
			t.Run(fmt.Sprintf("%s/resp%d", f.name, proto), func(t *testing.T) {
				for n := range o.Sequences {
					g := &gen{Rand: rand.New(rand.NewPCG(o.Seed, uint64(i*1_000_000+n*10+proto)))}
					commands := g.sequence(f, all, o.Length)
					batch := 1 + g.IntN(2)*g.IntN(16)
					r := &replay{arena: arena{oracle: oracle, target: target, proto: proto}, batch: batch}
					err := r.run(t, commands)
					if err == nil {
						continue
					}
					least := r.shrink(t, commands)
					t.Fatalf("LARDER_DIFF_SEED=%d, sequence %d (pipelines of %d): %v\n%s", o.Seed, n, batch, err, r.report(t, least))
				}
			})
		}
	}
}

func fromEnvironment(name string, otherwise uint64) uint64 {
	n, err := strconv.ParseUint(os.Getenv(name), 10, 64)
	if err != nil {
		return otherwise
	}
	return n
}

// replay runs one sequence, again and again while it is being shrunk.
type replay struct {
	arena
	batch int // commands sent before the first reply is read
}

// run gives the first difference, in a reply or in what is stored at the end.
func (r *replay) run(tb testing.TB, commands [][]string) error {
	if err := r.reset(tb); err != nil {
		return err
	}
	defer r.close()
	s, err := r.session(tb, 1)
	if err != nil {
		return err
	}
	for len(commands) > 0 {
		n := 0
		for n < len(commands) && n < r.batch {
			n++
			if follows(commandName(commands[n-1])) {
				break
			}
		}
		if err := s.pipeline(commands[:n]); err != nil {
			return err
		}
		commands = commands[n:]
	}
	if err := compareKeyspaces(tb, &r.arena); err != nil {
		return fmt.Errorf("after the sequence: %w", err)
	}
	return nil
}

// report runs the shrunk sequence once more to show its difference beside it.
func (r *replay) report(tb testing.TB, commands [][]string) string {
	out := fmt.Sprintf("== shrunk to %d commands [resp%d]\n", len(commands), r.proto)
	for _, args := range commands {
		out += quoteCommand(args) + "\n"
	}
	err := r.run(tb, commands)
	var d *Difference
	switch {
	case errors.As(err, &d):
		out += fmt.Sprintf("# %v\n", err)
	case err == nil:
		out += "# does not fail every time\n"
	default:
		out += fmt.Sprintf("# %v\n", err)
	}
	return out
}
