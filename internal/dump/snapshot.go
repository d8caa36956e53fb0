package dump

import (
	"io"
	"strconv"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/rdb"
)

// Snapshot says what a snapshot file holds beside the keyspace.
type Snapshot struct {
	Server    string   // name of the version
	Functions [][]byte // code of libraries
	NoKeys    bool     // leaves the keyspace out
	Compress  bool
	Version   int // of the format; 0: that of Redis 7.2. Fields that expire take that of 7.4
}

// Save writes the whole keyspace, which is locked, as a file that Redis 7.2 and Valkey load, or by its Version another
// one. O(keyspace).
func Save(to io.Writer, tx *engine.Tx, s Snapshot) error {
	e := tx.Engine()
	if s.Version == 0 {
		s.Version = rdb.Version72
	}
	w := NewWriter(rdb.NewWriter(to), s.Version)
	w.Compress = s.Compress
	version := w.Version
	if e.FieldsExpire() {
		version = rdb.Version74
	}
	w.Header(version)
	w.Aux("redis-ver", s.Server)
	w.Aux("redis-bits", strconv.Itoa(strconv.IntSize))
	w.Aux("ctime", strconv.FormatInt(tx.Now()/1000, 10))
	w.Aux("used-mem", strconv.FormatInt(e.UsedAbout(), 10))
	w.Aux("aof-base", "0")
	for _, code := range s.Functions {
		w.Function(code)
	}
	here := tx.DB()
	defer tx.Use(here)
	for db := range e.Databases() {
		if s.NoKeys {
			break
		}
		tx.Use(db)
		w.database(tx)
		if w.Err() != nil {
			return w.Err()
		}
	}
	return w.End()
}

func (w *Writer) database(tx *engine.Tx) {
	if tx.Len() == 0 {
		return
	}
	w.Select(tx.DB(), tx.Len(), tx.Expiring())
	tx.Keys(func(key []byte, r *table.Entry) {
		if w.Err() != nil {
			return
		}
		t := w.TypeOf(r)
		w.Key(key, t, w.attributes(tx.Engine(), r))
		w.Body(t, r)
	})
}

// attributes are what goes with a key. Its access is told if it decides on evictions.
func (w *Writer) attributes(e *engine.Engine, r *table.Entry) rdb.Attributes {
	a := rdb.Attributes{Expiry: r.Expiry(), Idle: rdb.NoAccess, Freq: rdb.NoAccess}
	switch p := e.Limits().Policy; {
	case p.Counts():
		a.Freq = int(e.Frequency(r))
	case p.LRU():
		a.Idle = e.Idle(r)
	}
	return a
}

// LoadOptions say what becomes of what a snapshot holds.
type LoadOptions struct {
	// Replace keys that are there; otherwise one of them ends the loading.
	Replace bool
	// Function takes a library of functions; nil: they are passed over.
	Function func(code []byte) error
}

// ErrExists refuses a key that is there already.
const ErrExists rdb.Error = "a key is there already"

// LoadSnapshot adds what a file holds to the keyspace, which is locked. Keys whose time has come are passed over. It returns the number of
// keys loaded; an error leaves those before it in place. Nobody is told of the changes. O(file).
func LoadSnapshot(from io.Reader, tx *engine.Tx, o LoadOptions) (keys int, err error) {
	f, err := rdb.OpenFile(rdb.NewStreamReader(from))
	if err != nil {
		return 0, err
	}
	here := tx.DB()
	defer tx.Use(here)
	for {
		rec, ok, err := f.Next()
		switch {
		case err != nil || !ok:
			return keys, err
		case rec.Key == nil:
			if o.Function != nil {
				err = o.Function(rec.Function)
			}
		case rec.DB >= tx.Engine().Databases():
			err = rdb.ErrLength
		default:
			keys++
			err = loadKey(f, tx, &rec, o)
		}
		if err != nil {
			return keys, err
		}
		tx.Step()
	}
}

func loadKey(f *rdb.File, tx *engine.Tx, rec *rdb.Record, o LoadOptions) error {
	tx.Use(rec.DB)
	d, err := Load(tx, rec.Key, f.Reader, rec.Type)
	if err != nil {
		return err
	}
	if rec.Expiry != 0 && rec.Expiry <= tx.Now() {
		d.Drop()
		return nil
	}
	if !o.Replace && tx.Exists(rec.Key) {
		d.Drop()
		return ErrExists
	}
	r := d.Keep(rec.Expiry)
	switch p := tx.Engine().Limits().Policy; {
	case p.Counts() && rec.Freq != rdb.NoAccess:
		tx.Engine().SetFrequency(r, uint8(rec.Freq))
	case !p.Counts() && rec.Idle != rdb.NoAccess:
		tx.Engine().SetIdle(r, rec.Idle)
	}
	return nil
}
