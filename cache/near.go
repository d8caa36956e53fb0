package cache

import (
	"context"

	"github.com/larderdb/larder/store"
)

// near is what this process keeps besides.
type near[T any] struct{}

// ticket is what a read knew of invalidations before it began.
type ticket struct{ at uint64 }

func newNear[T any](*Cache[T]) *near[T] { return nil }

func (n *near[T]) close(context.Context) error                           { return nil }
func (n *near[T]) get(string, *T) outcome                                { return miss }
func (n *near[T]) ticket(string) ticket                                  { return ticket{} }
func (n *near[T]) put(string, ticket, *T, reading)                       {}
func (n *near[T]) drop(string)                                           {}
func (n *near[T]) dropAll()                                              {}
func (n *near[T]) dropTags([]string)                                     {}
func (n *near[T]) announce(cmds []store.Cmd, _ ...store.Cmd) []store.Cmd { return cmds }
