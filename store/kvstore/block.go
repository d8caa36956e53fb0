package kvstore

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/larderdb/larder/store"
)

// A REST API does not wait, so commands that block are asked again and again in the form that does not: at once, soon after, and then
// less and less often, up to Options.Poll. Who waits longest is not served first.

// polling is a command that blocks, made one that does not.
type polling struct {
	cmd   store.Cmd
	wait  time.Duration                   // 0: for ever
	shape func(r store.Reply) store.Reply // the answer as the blocking command has it; nil: the same
	last  []int                           // places of "$", XREAD's id of what is last now
}

const firstPoll = 10 * time.Millisecond

// block runs a command that blocks.
func (s *Store) block(ctx context.Context, words []string) store.Reply {
	p, err := pollingOf(words)
	if err != nil {
		return store.Fail(err)
	}
	if err := s.resolve(ctx, &p); err != nil {
		return store.Fail(err)
	}
	end := s.life
	if p.wait > 0 {
		var cancel context.CancelFunc
		end, cancel = context.WithTimeout(s.life, p.wait)
		defer cancel()
	}
	for pause := min(firstPoll, s.poll); ; pause = min(2*pause, s.poll) {
		r := s.batches.run(ctx, []store.Cmd{p.cmd})[0]
		if !r.IsNil() {
			if p.shape != nil && r.Err() == nil {
				r = p.shape(r)
			}
			return r
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return store.Fail(s.over(ctx))
		case <-end.Done():
			timer.Stop()
			if s.life.Err() != nil {
				return store.Fail(s.over(ctx))
			}
			return store.Nil()
		}
	}
}

// resolve puts the ids of the last entries for "$", which would be others at each attempt.
func (s *Store) resolve(ctx context.Context, p *polling) error {
	if len(p.last) == 0 {
		return nil
	}
	cmds := make([]store.Cmd, len(p.last))
	streams := slices.IndexFunc(p.cmd, func(w string) bool { return strings.EqualFold(w, "STREAMS") }) + 1
	n := (len(p.cmd) - streams) / 2
	for i, at := range p.last {
		cmds[i] = store.Cmd{"XINFO", "STREAM", p.cmd[at-n]}
	}
	for i, r := range s.batches.run(ctx, cmds) {
		p.cmd[p.last[i]] = "0-0"
		info, err := r.Pairs()
		if e, ok := err.(store.ServerError); ok && strings.Contains(string(e), "no such key") { //nolint:errorlint // the server's own
			continue
		}
		if err != nil {
			return err
		}
		for k := 0; k < len(info); k += 2 {
			if name, err := info[k].Text(); err == nil && name == "last-generated-id" {
				if p.cmd[p.last[i]], err = info[k+1].Text(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// pollingOf reads a command for which store.TraitsOf says that it blocks.
func pollingOf(words []string) (p polling, err error) {
	name := strings.ToUpper(words[0])
	last := len(words) - 1
	switch name {
	case "BLPOP", "BRPOP", "BZPOPMIN", "BZPOPMAX":
		if len(words) < 3 {
			return p, arity(name)
		}
		head := map[string][2]string{"BLPOP": {"LMPOP", "LEFT"}, "BRPOP": {"LMPOP", "RIGHT"}, "BZPOPMIN": {"ZMPOP", "MIN"}, "BZPOPMAX": {"ZMPOP", "MAX"}}[name]
		p.cmd = append(append(store.Cmd{head[0], strconv.Itoa(last - 1)}, words[1:last]...), head[1])
		p.shape = popped
		p.wait, err = seconds(words[last])
	case "BLMOVE", "BRPOPLPUSH":
		if len(words) != map[string]int{"BLMOVE": 6, "BRPOPLPUSH": 4}[name] {
			return p, arity(name)
		}
		p.cmd = append(store.Cmd{name[1:]}, words[1:last]...)
		p.wait, err = seconds(words[last])
	case "BLMPOP", "BZMPOP":
		if len(words) < 5 {
			return p, arity(name)
		}
		p.cmd = append(store.Cmd{name[1:]}, words[2:]...)
		p.wait, err = seconds(words[1])
	case "XREAD", "XREADGROUP":
		return readPolling(words)
	default:
		err = &refused{name, "waits for replicas or disks, of which a REST API tells nothing: leave it out"}
	}
	return p, err
}

// readPolling takes BLOCK off XREAD and XREADGROUP.
func readPolling(words []string) (p polling, err error) {
	for i := 1; i < len(words); i++ {
		switch {
		case strings.EqualFold(words[i], "STREAMS"):
			p.cmd = append(p.cmd, words[i:]...)
			if ids := len(words) - i - 1; strings.EqualFold(words[0], "XREAD") && ids%2 == 0 {
				for k := len(p.cmd) - ids/2; k < len(p.cmd); k++ {
					if p.cmd[k] == "$" {
						p.last = append(p.last, k)
					}
				}
			}
			p.cmd = slices.Insert(p.cmd, 0, words[0])
			for k := range p.last {
				p.last[k]++
			}
			return p, nil
		case strings.EqualFold(words[i], "BLOCK") && i+1 < len(words):
			i++
			ms, err := strconv.ParseInt(words[i], 10, 64)
			if err != nil {
				return p, store.ServerError("ERR timeout is not an integer or out of range")
			}
			if ms < 0 {
				return p, store.ServerError("ERR timeout is negative")
			}
			p.wait = time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
		case strings.EqualFold(words[i], "GROUP") && i+2 < len(words):
			p.cmd = append(p.cmd, words[i:i+3]...)
			i += 2
		default:
			p.cmd = append(p.cmd, words[i])
		}
	}
	if len(words) < 4 {
		return p, arity(words[0])
	}
	return p, store.ServerError("ERR syntax error")
}

// popped makes of LMPOP's and ZMPOP's [key, [element]] what BLPOP and BZPOPMIN answer.
func popped(r store.Reply) store.Reply {
	pair, err := r.Array()
	if err != nil || len(pair) != 2 {
		return r
	}
	found, err := pair[1].Array()
	if err != nil || len(found) != 1 {
		return r
	}
	if scored, err := found[0].Array(); err == nil {
		found = scored
	}
	return store.ArrayOf(append([]store.Reply{pair[0]}, found...)...)
}

// seconds reads a timeout.
func seconds(word string) (time.Duration, error) {
	f, err := strconv.ParseFloat(word, 64)
	switch {
	case err == nil && f > math.MaxInt64/1e9:
		return 0, store.ServerError("ERR timeout is out of range")
	case err != nil || math.IsNaN(f):
		return 0, store.ServerError("ERR timeout is not a float or out of range")
	case f < 0:
		return 0, store.ServerError("ERR timeout is negative")
	}
	d := time.Duration(f * float64(time.Second))
	if f > 0 {
		d = max(d, time.Millisecond)
	}
	return d, nil
}

func arity(name string) error {
	return store.ServerError(fmt.Sprintf("ERR wrong number of arguments for '%s' command", strings.ToLower(name)))
}
