package command

import (
	"bufio"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larderdb/larder/internal/dump"
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/vfs"
)

// Snapshots. SAVE writes the whole keyspace to the file that dir and dbfilename name, with every shard
// locked. BGSAVE makes the file's bytes in memory with every shard locked, and writes them to the disk when it has
// answered: that the data is copied while it changes is for persistence to bring. What happens without being asked for is in
// persist_auto.go.

// saves are the figures of snapshots, and what keeps two from getting into each other's way.
type saves struct {
	last    atomic.Int64 // Unix seconds of the last one that succeeded; 0: none
	dirty   atomic.Int64 // Engine.Dirty at that time
	count   atomic.Int64 // begun
	seconds atomic.Int64 // that the last one took
	failed  atomic.Bool  // the last one
	since   atomic.Int64 // Unix seconds when the one in the background began; 0: there is none
	tried   atomic.Int64 // Unix seconds when one last began by itself
	unasked atomic.Bool  // SHUTDOWN NOSAVE: none at the end
	file    sync.Mutex   // held while the file is written
}

func persistRows() []Command {
	const group = "server"
	return []Command{
		{Name: "save", Arity: 1, Flags: Admin | NoScript | NoAsyncLoading | NoMulti, Lock: LockAll, Group: group, Since: "1.0.0",
			Cost: "O(N) where N is the number of keys in all databases", Summary: "Writes a snapshot of all databases.", Run: save},
		{Name: "bgsave", Arity: -1, Flags: Admin | NoScript | NoAsyncLoading, Lock: LockAll, Group: group, Since: "1.0.0",
			Cost: "O(N) where N is the number of keys in all databases", Summary: "Takes a snapshot of all databases, and writes it when it has answered.", Run: backgroundSave},
		{Name: "lastsave", Arity: 1, Flags: Loading | Stale | Fast, ACL: CatAdmin | CatDangerous, Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Tells when the last snapshot was written, in Unix seconds.", Tips: []string{"nondeterministic_output"}, Run: lastSave},
		{Name: "bgrewriteaof", Arity: 1, Flags: Admin | NoScript | NoAsyncLoading, Group: group, Since: "1.0.0",
			Cost: "O(1)", Summary: "Answers as if it began to rewrite an append-only file, which there is not.", Run: rewriteAOF},
	}
}

const errSaving engine.Error = "ERR Background save already in progress"

func save(c *Ctx) {
	switch {
	case c.saves.since.Load() != 0:
		c.Fail(errSaving)
	case c.save(c.Tx) != nil:
		c.FailText("ERR")
	default:
		c.OK()
	}
}

func backgroundSave(c *Ctx) {
	switch {
	case len(c.Args) > 2 || len(c.Args) == 2 && !c.Is(1, "SCHEDULE"):
		c.Fail(errSyntax)
	case c.saves.since.Load() != 0:
		c.Fail(errSaving)
	default:
		c.startSave(c.Tx)
		if c.alone {
			c.Out.Simple("Background saving started")
		} else {
			c.Out.Simple("Background saving scheduled")
		}
	}
}

// image is a file in memory.
type image struct{ chunks [][]byte }

// Write implements io.Writer.
func (m *image) Write(b []byte) (int, error) {
	m.chunks = append(m.chunks, slices.Clone(b))
	return len(b), nil
}

// startSave makes a snapshot in memory, of the keyspace that is locked, and writes it from a goroutine of its own.
func (p *Processor) startSave(tx *engine.Tx) {
	start := p.clock.Now()
	id, dirty := p.saves.count.Add(1), p.Engine.Dirty()
	var m image
	err := p.snapshot(&m, tx)
	keys := tx.TotalLen()
	p.saves.since.Store(start.Unix())
	go func() {
		defer p.saves.since.Store(0)
		p.dawdle(keys)
		p.saves.file.Lock()
		defer p.saves.file.Unlock()
		if id != p.saves.count.Load() {
			return // SHUTDOWN or DEBUG has written a later one
		}
		if err == nil {
			err = p.writeSnapshot(func(to io.Writer) error {
				for i, b := range m.chunks {
					if _, err := to.Write(b); err != nil {
						return err
					}
					m.chunks[i] = nil
				}
				return nil
			})
		}
		p.saved(start, dirty, err)
	}()
}

// dawdleStep is how long a change of rdb-key-save-delay may take to be noticed.
const dawdleStep = 20 * time.Millisecond

// dawdle waits rdb-key-save-delay for each key: tests want to see a snapshot under way.
func (p *Processor) dawdle(keys int) {
	for waited := time.Duration(0); waited < p.saveDelay(keys); waited += dawdleStep {
		timer := p.clock.NewTimer(dawdleStep)
		<-timer.C()
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

func (p *Processor) saveDelay(keys int) time.Duration {
	return time.Duration(keys) * time.Duration(p.Config.Settings().RDBKeySaveDelay) * time.Microsecond
}

// save writes the snapshot file. The whole keyspace is locked.
func (p *Processor) save(tx *engine.Tx) error {
	start := p.clock.Now()
	p.saves.count.Add(1)
	p.saves.file.Lock()
	defer p.saves.file.Unlock()
	err := p.writeSnapshot(func(to io.Writer) error { return p.snapshot(to, tx) })
	p.saved(start, p.Engine.Dirty(), err)
	return err
}

// saved notes how a snapshot ended, of the data as it was when there had been so many changes.
func (p *Processor) saved(start time.Time, dirty int64, err error) {
	now := p.clock.Now()
	p.saves.failed.Store(err != nil)
	p.saves.seconds.Store(int64(now.Sub(start).Seconds()))
	if err == nil {
		p.saves.last.Store(now.Unix())
		p.saves.dirty.Store(dirty)
	}
}

// snapshot writes all data, which is locked.
func (p *Processor) snapshot(to io.Writer, tx *engine.Tx) error {
	return dump.Save(to, tx, dump.Snapshot{Server: Version, Functions: p.libraryTexts(), Compress: p.Config.Settings().RDBCompression})
}

// writeSnapshot writes the file under another name, and gives it its own when it is safe on the disk.
func (p *Processor) writeSnapshot(write func(to io.Writer) error) error {
	s := p.Config.Settings()
	name := filepath.Join(s.Dir, s.DBFilename)
	temp := name + ".temp"
	f, err := p.files.Create(temp)
	if err != nil {
		return err
	}
	if err = write(f); err == nil {
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

// running tells whether a snapshot is written in the background, 1 or 0, and for how many seconds, -1 if none is.
func (s *saves) running(now time.Time) (in int, seconds int64) {
	since := s.since.Load()
	if since == 0 {
		return 0, -1
	}
	return 1, now.Unix() - since
}
