package command

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

// Snapshots that nobody asks for: one is read when the server starts, and one is written at the save points (enough has
// changed for long enough since the last one) and, where there are save points, when the server stops. What has changed since the
// last one is lost with a crash.

// retrySave is how long after a snapshot that failed the next one begins by itself.
const retrySave = 5 * time.Second

// LoadSnapshot reads the snapshot file into the keyspace, which must be empty, before anybody is served. Without a file there
// is nothing to do. A file that is not sound is an error, and nothing of it is kept. O(file).
func (p *Processor) LoadSnapshot() (keys int, err error) {
	tx := p.Engine.NewTx()
	tx.Begin(0)
	defer tx.End()
	tx.LockAll()
	s := p.Config.Settings()
	switch err := p.load(tx, false, false); {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		tx.Flush(-1)
		p.scripts.libs.flush()
		return 0, fmt.Errorf("snapshot %s: %w; move it away to begin with nothing", filepath.Join(s.Dir, s.DBFilename), err)
	}
	tx.StartCommand() // nobody is told: this is where everybody begins
	p.saves.dirty.Store(p.Engine.Dirty())
	keys = tx.TotalLen()
	p.stats.loaded.Store(int64(keys))
	return keys, nil
}

// saveWhenDue begins a snapshot at a save point.
func (p *Processor) saveWhenDue() {
	points := p.Config.Settings().Save
	if len(points) == 0 || p.saves.since.Load() != 0 {
		return
	}
	now := p.clock.Now()
	if p.saves.failed.Load() && now.Unix()-p.saves.tried.Load() <= int64(retrySave.Seconds()) {
		return
	}
	changes, passed := p.Engine.Dirty()-p.saves.dirty.Load(), now.Unix()-p.lastSave()
	for _, point := range points {
		if changes < point.Changes || passed <= point.Seconds {
			continue
		}
		tx := p.Engine.NewTx()
		tx.Impatient = true // while a script keeps a shard there is none: the next look comes soon
		tx.Begin(0)
		if tx.LockAll() {
			p.saves.tried.Store(now.Unix())
			p.startSave(tx)
		}
		tx.End()
		return
	}
}

// SaveLast writes a snapshot when the server stops, if there are save points and something has changed. Nobody is served
// any more.
func (p *Processor) SaveLast() error {
	if len(p.Config.Settings().Save) == 0 || p.saves.unasked.Load() || p.Engine.Dirty() == p.saves.dirty.Load() {
		return nil
	}
	tx := p.Engine.NewTx()
	tx.Begin(0)
	defer tx.End()
	tx.LockAll()
	if err := p.save(tx); err != nil {
		s := p.Config.Settings()
		return fmt.Errorf("snapshot %s: %w", filepath.Join(s.Dir, s.DBFilename), err)
	}
	return nil
}
