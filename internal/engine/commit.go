package engine

import "slices"

// Effect is a deterministic command that brings another keyspace from the state
// before a change to the state after it: absolute expiry times, random choices
// resolved. Args are borrowed: who keeps them copies them.
type Effect struct {
	DB   int
	Args [][]byte

	// Alone says that no command asked for it: a key, or a field of a hash, came to its end. It need not be kept
	// together with others; see Grouped.
	Alone bool
}

// Grouped tells whether effects that were appended together must stay so: there are several, and some command made one
// of them.
func Grouped(effects []Effect) bool {
	return len(effects) > 1 && slices.ContainsFunc(effects, func(e Effect) bool { return !e.Alone })
}

// Journal hears of every change, in an order in which replaying gives the same
// keyspace. Append is called with the shards of the change locked: it must not
// call the engine and should not take long. The effects of one call belong
// together: all or none of them may be replayed.
type Journal interface {
	Append(effects []Effect)
}

type journalBox struct{ Journal }

// SetJournal registers who hears of changes from now on; nil ends it. It waits for nobody: of a transaction that runs
// meanwhile the journal may get a part, unless the caller holds all shards.
func (e *Engine) SetJournal(j Journal) {
	var box *journalBox
	if j != nil {
		box = &journalBox{j}
		e.observers.Add(1)
	}
	if e.journal.Swap(box) != nil {
		e.observers.Add(-1)
	}
}

// change is one key that changed and how, or a database.
type change struct {
	db    int    // of a database: -1 for all
	key   []byte // borrowed from the arguments, or a copy; nil: a whole database
	event Event
	by    *Tracker // whose command did it; nil for what no command asked for
}

// commit is what a Tx gathers until End.
type commit struct {
	dirty   int // calls of Changed, for rdb_changes_since_last_save; Redis counts the elements of some commands
	changes []change
	effects []Effect
	own     bool // the running command has told its effects itself
	mark    int  // dirty when the running command began

	told int    // changes that trackers have been told of
	text []byte // names of channels are built here

	ready  []watchKey // keys that waiters want to look at
	served int        // how many of them have been seen to
}

func (c *commit) reset() {
	c.dirty, c.mark, c.own, c.told = 0, 0, false, 0
	c.changes, c.effects = emptied(c.changes), emptied(c.effects)
	if cap(c.text) > keptText {
		c.text = nil
	}
}

// keptText is how long a buffer for names is kept, in bytes; keptNotes is how many notes of changes a transaction has room for that it keeps for the next one: a script of a
// million writes must not pin memory for as long as its session lives.
const (
	keptNotes = 1 << 10
	keptText  = 64 << 10
)

// emptied is the slice for the next transaction; nothing that this one noted is kept alive by it.
func emptied[T any](notes []T) []T {
	if cap(notes) > keptNotes {
		return nil
	}
	clear(notes)
	return notes[:0]
}

// Changed tells that a key changed. A command that removes the last element of
// a collection calls Finish instead.
func (tx *Tx) Changed(key []byte, ev Event) {
	tx.dirty++
	tx.note(key, ev)
}

// Remembered tells a change that is journaled but that neither watches nor notifications hear of: of what a
// consumer group remembers of its consumers.
func (tx *Tx) Remembered() { tx.dirty++ }

// Note tells one more event of a change that Changed has told.
func (tx *Tx) Note(key []byte, ev Event) { tx.note(key, ev) }

// note records the change for those who listen to keys; it does not count as a
// change by the command (expiry and eviction are not the command's doing).
func (tx *Tx) note(key []byte, ev Event) {
	if tx.e.observers.Load() == 0 {
		return
	}
	c := change{db: tx.db, key: key, event: ev}
	if ev != EventExpired && ev != EventHExpired && ev != EventEvicted {
		c.by = tx.By
	}
	tx.changes = append(tx.changes, c)
}

// noteDatabase records that a database, or with db < 0 each of them, is another now. All shards are locked.
func (tx *Tx) noteDatabase(db int, ev Event) {
	if tx.e.observers.Load() != 0 {
		tx.changes = append(tx.changes, change{db: db, event: ev, by: tx.By})
	}
}

// Journaling tells whether effects are wanted. A command builds its own only then.
func (tx *Tx) Journaling() bool { return tx.e.journal.Load() != nil && !tx.Mute }

// Effect says that the running command's change is this command, not the one
// that the client sent. The arguments must stay as they are until End.
func (tx *Tx) Effect(args ...[]byte) {
	tx.own = true
	if tx.Journaling() {
		tx.effects = append(tx.effects, Effect{DB: tx.db, Args: slices.Clone(args)})
	}
}

// StartCommand marks where the effects of the next command begin.
func (tx *Tx) StartCommand() { tx.mark, tx.own = tx.dirty, false }

// FinishCommand journals the command as it was sent, unless it changed nothing or has
// told its effects itself. It reports whether the command changed anything.
func (tx *Tx) FinishCommand(db int, args [][]byte) bool {
	changed := tx.dirty != tx.mark
	if changed && !tx.own && tx.Journaling() {
		tx.effects = append(tx.effects, Effect{DB: db, Args: args})
	}
	return changed
}

// publish is the one commit point: keys and effects leave the transaction here,
// with their shards still locked.
func (tx *Tx) publish() {
	e := tx.e
	for i := range tx.changes {
		tx.tell(&tx.changes[i])
	}
	tx.invalidate()
	if j := e.journal.Load(); j != nil && len(tx.effects) != 0 {
		j.Append(tx.effects)
	}
	e.dirty.Add(int64(tx.dirty))
	tx.commit.reset()
}

// tell hands one change to those who listen to keys. Watches hear of a database before it changes: see Flush and Swap.
func (tx *Tx) tell(c *change) {
	waiting := tx.e.waiting.Load() != 0
	switch {
	case c.event.isHint():
		tx.notify(c)
	case c.key != nil:
		tx.notify(c)
		s := tx.e.shardFor(c.key)
		s.touchWatches(c)
		if waiting {
			tx.wakeKey(s, c.db, c.key)
		}
	case waiting:
		tx.wakeDB(c.db)
	}
}

// pending tells whether there is anything to publish. An expiry changes without being dirty.
func (c *commit) pending() bool { return c.dirty != 0 || len(c.changes) != 0 || len(c.effects) != 0 }

// publishPending publishes what there is, and publishAll serves those who wait for it, too.
func (tx *Tx) publishPending() {
	if tx.pending() {
		tx.publish()
	}
}

func (tx *Tx) publishAll() {
	tx.publishPending()
	for len(tx.ready) != 0 {
		tx.serveWaiters()
		tx.publishPending() // what waiters that were not served have met past its time
	}
}
