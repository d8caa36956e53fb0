package difftest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
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

// mostFindings is how many different failures of one family are shrunk and shown.
const mostFindings = 4

// skipVariable holds a regular expression of command names that are left out, so that a known failure does not hide
// others while one works on it.
const skipVariable = "LARDER_DIFF_SKIP"

// Generated runs random sequences of every family in both protocols. A failing one is shrunk to the fewest commands
// that still fail and printed in the form of the scripts, with the seed that brings it back.
func Generated(t *testing.T, oracle, target Dialer, o Options) {
	o.Seed = fromEnvironment("LARDER_DIFF_SEED", o.Seed)
	o.Sequences = int(fromEnvironment("LARDER_DIFF_SEQUENCES", uint64(o.Sequences)))
	if o.Seed == 0 {
		o.Seed = uint64(time.Now().UnixNano())
	}
	t.Logf("LARDER_DIFF_SEED=%d", o.Seed)
	skip, err := regexp.Compile(os.Getenv(skipVariable))
	if err != nil {
		t.Fatalf("%s: %v", skipVariable, err)
	}
	all := families()
	for i, f := range all {
		for proto := 2; proto <= 3; proto++ {
			t.Run(fmt.Sprintf("%s/resp%d", f.name, proto), func(t *testing.T) {
				r := &replay{arena: arena{oracle: oracle, target: target, proto: proto}}
				seen := map[string]bool{}
				for n := range o.Sequences {
					g := &gen{Rand: rand.New(rand.NewPCG(o.Seed, uint64(i*1_000_000+n*10+proto)))}
					commands := g.sequence(f, all, o.Length)
					if os.Getenv(skipVariable) != "" {
						commands = slices.DeleteFunc(commands, func(args []string) bool { return skip.MatchString(commandName(args)) })
					}
					r.batch = 1 + g.IntN(2)*g.IntN(16)
					err := r.run(t, commands)
					if err == nil || seen[signature(err)] {
						continue
					}
					seen[signature(err)] = true
					t.Errorf("LARDER_DIFF_SEED=%d, sequence %d: %v\n%s", o.Seed, n, err, r.report(t, r.shrink(t, commands, signature(err))))
					if len(seen) == mostFindings {
						t.Fatal("and that is enough")
					}
				}
			})
		}
	}
}

// signature tells one failure from another: by the command whose replies differ.
func signature(err error) string {
	var d *Difference
	if err == nil {
		return ""
	}
	if errors.As(err, &d) {
		return commandName(d.Command)
	}
	return "no reply"
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
	out := fmt.Sprintf("== shrunk to %d commands, in pipelines of %d [resp%d]\n", len(commands), r.batch, r.proto)
	for _, args := range commands {
		out += quoteCommand(args) + "\n"
	}
	if err := r.run(tb, commands); err != nil {
		return out + fmt.Sprintf("# %v\n", err)
	}
	return out + "# does not fail every time\n"
}
