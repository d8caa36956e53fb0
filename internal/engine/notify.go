package engine

import (
	"strconv"

	"github.com/larderdb/larder/internal/config"
)

// Keyspace notifications: what happens to keys, told to whoever subscribes to __keyspace@db__:key or
// __keyevent@db__:event. They leave at the commit point, with the shards of the keys still locked, so that the messages
// about a key come in the order of its changes; a transaction's come together, when it is done.

// classes are the flags of the event's class; 0 for what is never notified.
func (v Event) classes() config.NotifyFlags { return config.NotifyClass(byte(v.Class())) }

// notifying tells whether any events are published under these flags.
func notifying(f config.NotifyFlags) bool {
	const where = config.NotifyKeyspace | config.NotifyKeyevent
	return f&where != 0 && f&^where != 0
}

// hint records an event that is no change: a key that is new, as the event that tells why follows, or one that was
// looked for in vain.
func (tx *Tx) hint(key []byte, ev Event) {
	if tx.e.observers.Load() == 0 {
		return
	}
	if f := tx.e.Limits().Notify; notifying(f) && f&ev.classes() != 0 {
		tx.note(key, ev)
	}
}

// isHint tells whether the event is one that changes nothing.
func (v Event) isHint() bool { return v == EventNew || v == EventKeyMiss }

// notify publishes one event to both kinds of channels.
func (tx *Tx) notify(c *change) {
	f := tx.e.Limits().Notify
	if !notifying(f) || f&c.event.classes() == 0 {
		return
	}
	name := c.event.String()
	if f&config.NotifyKeyspace != 0 {
		b := tx.channel("__keyspace@", c.db, string(c.key))
		n := len(b)
		b = append(b, name...)
		tx.e.Hub.Publish(b[:n:n], b[n:])
		tx.text = b
	}
	if f&config.NotifyKeyevent != 0 {
		b := tx.channel("__keyevent@", c.db, name)
		tx.e.Hub.Publish(b, c.key)
		tx.text = b
	}
}

// channel builds the name of a channel in memory that the transaction keeps.
func (tx *Tx) channel(kind string, db int, name string) []byte {
	b := append(tx.text[:0], kind...)
	b = append(strconv.AppendInt(b, int64(db), 10), "__:"...)
	return append(b, name...)
}
