package acl

import (
	"slices"
	"sync"
	"time"
)

// Context is where a denied command came from.
type Context uint8

// The contexts.
const (
	TopLevel Context = iota
	InMulti
	InScript
)

// String is the context's name in ACL LOG.
func (c Context) String() string { return [...]string{"toplevel", "multi", "lua"}[c] }

// Entry is one denial of the log, or several alike.
type Entry struct {
	ID      int64
	Count   int64
	Reason  Reason
	Context Context
	Object  string // the command, key or channel; of DeniedAuth the command that wanted to authenticate
	User    string
	Client  string // the last client's line of CLIENT LIST

	Created, Updated time.Time
}

// Log keeps the last denials, those alike together. Its methods are safe for concurrent use.
type Log struct {
	mu      sync.Mutex
	entries []*Entry // the newest first
	next    int64    // ID
}

const (
	grouping  = time.Minute // entries alike are one if no more apart
	lookBack  = 10          // entries that are compared
	maxObject = 64 << 10    // bytes of a key that are kept
)

// Add notes a denial at e.Updated. most bounds the entries; with 0 nothing is noted, and what was noted is forgotten.
func (l *Log) Add(e Entry, most int) {
	e.Object = e.Object[:min(len(e.Object), maxObject)]
	l.mu.Lock()
	defer l.mu.Unlock()
	if most <= 0 {
		l.entries = nil
		return
	}
	for i, old := range l.entries[:min(len(l.entries), lookBack)] {
		if old.alike(&e) {
			old.Client, old.Updated = e.Client, e.Updated
			old.Count++
			copy(l.entries[1:i+1], l.entries[:i])
			l.entries[0] = old
			return
		}
	}
	e.ID, e.Count, e.Created = l.next, 1, e.Updated
	l.next++
	l.entries = slices.Insert(l.entries, 0, &e)
	if len(l.entries) > most {
		clear(l.entries[most:])
		l.entries = l.entries[:most]
	}
}

func (e *Entry) alike(o *Entry) bool {
	return e.Reason == o.Reason && e.Context == o.Context && o.Updated.Sub(e.Updated).Abs() <= grouping &&
		e.Object == o.Object && e.User == o.User
}

// Last are the n newest entries, the newest first.
func (l *Log) Last(n int) []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := make([]Entry, 0, min(n, len(l.entries)))
	for _, e := range l.entries[:cap(last)] {
		last = append(last, *e)
	}
	return last
}

// Reset forgets all entries.
func (l *Log) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = nil
}
