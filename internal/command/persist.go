package command

import (
	"bufio"
	"path/filepath"
	"sync/atomic"

	"github.com/larderdb/larder/internal/dump"
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/vfs"
)

// Snapshots on demand. SAVE writes the whole keyspace to the file that dir and dbfilename name, with every shard
// locked, and so does BGSAVE, before it answers: what goes on in the background elsewhere is done at once here. Nothing
// is loaded at the start yet.

// saves are the figures of snapshots.
type saves struct {
	last    atomic.Int64 // Unix seconds of the last one that succeeded; 0: none
	dirty   atomic.Int64 // Engine.Dirty at that time
	count   atomic.Int64
	seconds atomic.Int64 // that the last one took
	failed  atomic.Bool  // the last one
}

func persistRows() []Command {
	const group = "server"
	return []Command{
		{Name: "save", Arity: 1, Flags: Admin | NoScript | NoAsyncLoading | NoMulti, Lock: LockAll, Group: group, Since: "1.0.0",
			Cost: "O(N) where N is the number of keys in all databases", Summary: "Writes a snapshot of all databases.", Run: save},
		{Name: "bgsave", Arity: -1, Flags: Admin | NoScript | NoAsyncLoading, Lock: LockAll, Group: group, Since: "1.0.0",
			Cost: "O(N) where N is the number of keys in all databases", Summary: "Writes a snapshot of all databases, before it answers.", Run: backgroundSave},
		{Name: "lastsave", Arity: 1, Flags: Loading | Stale | Fast, ACL: CatAdmin | CatDangerous, Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Tells when the last snapshot was written, in Unix seconds.", Tips: []string{"nondeterministic_output"}, Run: lastSave},
		{Name: "bgrewriteaof", Arity: 1, Flags: Admin | NoScript | NoAsyncLoading, Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Answers as if it began to rewrite an append-only file, which there is not.", Run: rewriteAOF},
	}
}

func save(c *Ctx) {
	if c.save(c.Tx) != nil {
		c.FailText("ERR")
		return
	}
	c.OK()
}

func backgroundSave(c *Ctx) {
	switch {
	case len(c.Args) > 2 || len(c.Args) == 2 && !c.Is(1, "SCHEDULE"):
		c.Fail(errSyntax)
	case c.save(c.Tx) != nil:
		c.FailText("ERR")
	case !c.alone:
		c.Out.Simple("Background saving scheduled")
	default:
		c.Out.Simple("Background saving started")
	}
}

func lastSave(c *Ctx) { c.Out.Int(c.lastSave()) }

// lastSave is when the last snapshot was written, or the program started.
func (p *Processor) lastSave() int64 {
	if at := p.saves.last.Load(); at != 0 {
		return at
	}
	return p.start.Unix()
}

func rewriteAOF(c *Ctx) {
	if !c.alone {
		c.Out.Simple("Background append only file rewriting scheduled")
		return
	}
	c.Out.Simple("Background append only file rewriting started")
}

// save writes the snapshot file. The whole keyspace is locked.
func (p *Processor) save(tx *engine.Tx) error {
	start := p.clock.Now()
	p.saves.count.Add(1)
	err := p.writeSnapshot(tx)
	now := p.clock.Now()
	p.saves.failed.Store(err != nil)
	p.saves.seconds.Store(int64(now.Sub(start).Seconds()))
	if err == nil {
		p.saves.last.Store(now.Unix())
		p.saves.dirty.Store(p.Engine.Dirty())
	}
	return err
}

// writeSnapshot writes the file under another name, and gives it its own when it is safe on the disk.
func (p *Processor) writeSnapshot(tx *engine.Tx) error {
	s := p.Config.Settings()
	name := filepath.Join(s.Dir, s.DBFilename)
	temp := name + ".temp"
	f, err := p.files.Create(temp)
	if err != nil {
		return err
	}
	err = dump.Save(f, tx, dump.Snapshot{Server: Version, Functions: p.libraryTexts(), Compress: s.RDBCompression})
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = p.files.Rename(temp, name)
	}
	if err != nil {
		_ = p.files.Remove(temp) // the first error is the one to tell
		return err
	}
	return p.files.SyncDir(s.Dir)
}

// load reads the snapshot file into the keyspace, which is locked: in the place of what is there (flush), or to it, and
// then keys that are there are replaced or end the loading.
func (p *Processor) load(tx *engine.Tx, flush, replace bool) error {
	s := p.Config.Settings()
	f, err := p.files.Open(filepath.Join(s.Dir, s.DBFilename))
	if err != nil {
		return err
	}
	defer closeRead(f)
	if flush {
		tx.Flush(-1)
		p.scripts.libs.flush()
	}
	_, err = dump.LoadSnapshot(bufio.NewReader(f), tx, dump.LoadOptions{Replace: replace,
		Function: func(text []byte) error { return p.loadLibrary(text, replace) }})
	return err
}

// closeRead closes a file that was read: there is nothing to lose.
func closeRead(f vfs.File) { _ = f.Close() }

// outcome is what INFO says of the last snapshot: ok or err, and the seconds that it took, -1 if there was none.
func (s *saves) outcome() (status string, seconds int64) {
	status, seconds = "ok", s.seconds.Load()
	if s.failed.Load() {
		status = "err"
	}
	if s.count.Load() == 0 {
		seconds = -1
	}
	return status, seconds
}
