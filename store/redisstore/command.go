package redisstore

import (
	"strings"

	"github.com/redis/rueidis"

	"github.com/larderdb/larder/store"
)

// build makes rueidis's form of a command. It copies words, so that a caller whose ctx ended may reuse its slice.
// Built commands go back to a pool when they are done: one is never sent twice.
func build(b rueidis.Builder, words []string, tr store.Traits) rueidis.Completed {
	var c rueidis.Completed
	if tr.Key > 0 && tr.Key < len(words) {
		a := b.Arbitrary(words[:tr.Key]...).Keys(words[tr.Key]).Args(words[tr.Key+1:]...)
		if tr.Blocks {
			return a.Blocking().UnblockOnCancel()
		}
		c = a.Build()
	} else {
		a := b.Arbitrary(words...)
		if tr.Blocks {
			return a.Blocking().UnblockOnCancel()
		}
		c = a.Build()
	}
	return c
}

// check refuses what must not reach a shared connection.
func check(words []string) error {
	if len(words) == 0 || words[0] == "" {
		return errNoCommand
	}
	if store.Stateful(words) {
		return &refused{strings.ToUpper(words[0])}
	}
	return nil
}

// refused is an ErrUnsupported that names the command.
type refused struct{ name string }

func (e *refused) Error() string {
	return "redisstore: " + e.name + " changes the state of a connection that all callers share: use a Script, Subscribe, or the URL"
}

func (e *refused) Unwrap() error { return store.ErrUnsupported }
