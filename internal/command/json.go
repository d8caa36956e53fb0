package command

import (
	"sync"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/jsondoc"
)

// The JSON.* commands are RedisJSON's (2.8), with its errors, which have a code only now and then. A path of the legacy
// dialect gets the reply of one value, a JSONPath an array; see package jsondoc.

func jsonRows() []Command {
	const (
		read  = ReadOnly | Module
		write = Write | Module
		grow  = Write | DenyOOM | Module
		acl   = CatJSON
		group = "json"
		cost  = "O(N) where N is the size of the document"
		edit  = "O(M+N) where M is the size of the document and N that of what is new in it"
		two   = "2.0.0"
	)
	rows := []Command{
		{Name: "json.set", Arity: -4, Flags: grow, Keys: Key(RW | Access | Update | Insert), Since: "1.0.0", Cost: edit, Summary: "Sets the values at a path.", Run: jsonSet},
		{Name: "json.mset", Arity: -4, Flags: grow, Keys: KeysToEnd(RW|Access|Update|Insert, 3), Since: "2.6.0", Cost: edit + ", for each key", Summary: "Sets the values at paths of several keys.", Run: jsonMSet},
		{Name: "json.merge", Arity: -4, Flags: grow, Keys: Key(RW | Access | Update | Insert), Since: "2.6.0", Cost: edit, Summary: "Merges a value into those at a path (RFC 7396).", Run: jsonMerge},
		{Name: "json.get", Arity: -2, Flags: read, Keys: Key(RO | Access), Since: "1.0.0", Cost: cost, Summary: "Reads the values at paths.", Run: jsonGet},
		{Name: "json.mget", Arity: -3, Flags: read, Keys: keysButLast(RO | Access), Since: "1.0.0", Cost: cost + ", for each key", Summary: "Reads the values at a path of several keys.", Run: jsonMGet},
		{Name: "json.del", Arity: -2, Flags: write, Keys: Key(RW | Delete), Since: "1.0.0", Cost: cost, Summary: "Removes the values at a path.", Run: jsonDel},
		{Name: "json.forget", Arity: -2, Flags: write, Keys: Key(RW | Delete), Since: "1.0.0", Cost: cost, Summary: "Removes the values at a path.", Run: jsonDel},
		{Name: "json.clear", Arity: -2, Flags: write, Keys: Key(RW | Access | Update), Since: two, Cost: cost, Summary: "Empties arrays and objects and sets numbers to 0.", Run: jsonClear},
		{Name: "json.type", Arity: -2, Flags: read, Keys: Key(RO | Access), Since: "1.0.0", Cost: cost, Summary: "Tells the types of values.", Run: jsonType},
		{Name: "json.resp", Arity: -2, Flags: read, Keys: Key(RO | Access), Since: "1.0.0", Cost: cost, Summary: "Reads the values at a path in the protocol's types.", Run: jsonResp},
		{Name: "json.debug", Arity: -2, Flags: read, Keys: []KeySpec{KeyAt(RO|Access, 2)}, Since: "1.0.0", Cost: cost, Summary: "Tells the memory that values take.", Run: jsonDebug},
		{Name: "json.numincrby", Arity: 4, Flags: write, Keys: Key(RW | Access | Update), Since: "1.0.0", Cost: cost, Summary: "Adds to numbers.", Run: jsonNumIncrBy},
		{Name: "json.nummultby", Arity: 4, Flags: write, Keys: Key(RW | Access | Update), Since: "1.0.0", Cost: cost, Summary: "Multiplies numbers.", Run: jsonNumMultBy},
		{Name: "json.numpowby", Arity: 4, Flags: write, Keys: Key(RW | Access | Update), Since: "1.0.0", Cost: cost, Summary: "Raises numbers to a power.", Run: jsonNumPowBy},
		{Name: "json.toggle", Arity: 3, Flags: grow, Keys: Key(RW | Access | Update), Since: two, Cost: cost, Summary: "Turns booleans over.", Run: jsonToggle},
		{Name: "json.strappend", Arity: -3, Flags: grow, Keys: Key(RW | Access | Update), Since: "1.0.0", Cost: edit, Summary: "Appends to strings.", Run: jsonStrAppend},
		{Name: "json.strlen", Arity: -2, Flags: read, Keys: Key(RO | Access), Since: "1.0.0", Cost: cost, Summary: "Tells the lengths of strings.", Run: jsonStrLen},
		{Name: "json.arrappend", Arity: -4, Flags: grow, Keys: Key(RW | Access | Update), Since: "1.0.0", Cost: edit, Summary: "Appends values to arrays.", Run: jsonArrAppend},
		{Name: "json.arrindex", Arity: -4, Flags: read, Keys: Key(RO | Access), Since: "1.0.0", Cost: cost, Summary: "Looks for a value in arrays.", Run: jsonArrIndex},
		{Name: "json.arrinsert", Arity: -5, Flags: grow, Keys: Key(RW | Access | Update), Since: "1.0.0", Cost: edit, Summary: "Inserts values into arrays.", Run: jsonArrInsert},
		{Name: "json.arrlen", Arity: -2, Flags: read, Keys: Key(RO | Access), Since: "1.0.0", Cost: cost, Summary: "Tells the lengths of arrays.", Run: jsonArrLen},
		{Name: "json.arrpop", Arity: -2, Flags: write, Keys: Key(RW | Access | Delete), Since: "1.0.0", Cost: cost, Summary: "Takes elements out of arrays.", Run: jsonArrPop},
		{Name: "json.arrtrim", Arity: 5, Flags: write, Keys: Key(RW | Access | Update), Since: "1.0.0", Cost: cost, Summary: "Cuts arrays to a range.", Run: jsonArrTrim},
		{Name: "json.objkeys", Arity: -2, Flags: read, Keys: Key(RO | Access), Since: "1.0.0", Cost: cost, Summary: "Lists the names in objects.", Run: jsonObjKeys},
		{Name: "json.objlen", Arity: -2, Flags: read, Keys: Key(RO | Access), Since: "1.0.0", Cost: cost, Summary: "Counts the members of objects.", Run: jsonObjLen},
	}
	for i := range rows {
		rows[i].ACL, rows[i].Group = acl, group
	}
	return rows
}

// Errors of RedisJSON.
const (
	errJSONType    engine.Error = "Existing key has wrong Redis type"
	errJSONMissing engine.Error = "ERR could not perform this operation on a key that doesn't exist"
	errJSONNew     engine.Error = "ERR new objects must be created at the root"
	errJSONPath    engine.Error = "ERR Path does not exist"
	errJSONInteger engine.Error = "Couldn't parse as integer"
	errJSONFormat  engine.Error = "ERR wrong reply format"

	errJSONNotArray  = errJSONPath + " or not an array"
	errJSONNotObject = errJSONPath + " or not an object"
)

// errJSONWanted is that a value is of another type than the one named.
func errJSONWanted(name string) error {
	return engine.Error("WRONGTYPE wrong type of path value - expected " + name)
}

// jsonFail replies an error as it is, without a code where it has none.
func (c *Ctx) jsonFail(err error) { c.FailText(err.Error()) }

// jsonPaths are the paths that were asked for lately, compiled.
type jsonPaths struct {
	mu sync.RWMutex
	of map[string]*jsondoc.Path
}

// Limits of the paths that are kept: any of them goes when there are too many, and long ones are not kept.
const (
	maxJSONPaths = 1 << 10
	maxJSONPath  = 256 // bytes
)

func (p *jsonPaths) compile(text []byte) (*jsondoc.Path, error) {
	p.mu.RLock()
	path := p.of[string(text)]
	p.mu.RUnlock()
	if path != nil {
		return path, nil
	}
	path, err := jsondoc.Compile(text)
	if err != nil || len(text) > maxJSONPath {
		return path, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of == nil {
		p.of = make(map[string]*jsondoc.Path)
	}
	for other := range p.of {
		if len(p.of) < maxJSONPaths {
			break
		}
		delete(p.of, other)
	}
	p.of[path.Text()] = path
	return path, nil
}

// jsonPath compiles the path at an argument, or the root's in the legacy dialect where there is none. false: the error
// is replied.
func (c *Ctx) jsonPath(i int) (*jsondoc.Path, bool) {
	text := []byte{'.'}
	if i < len(c.Args) {
		text = c.Args[i]
	}
	p, err := c.paths.compile(text)
	if err != nil {
		c.jsonFail(err)
	}
	return p, err == nil
}

// jsonRead finds the document of a key to read it. false: the error is replied.
func (c *Ctx) jsonRead(i int) (root jsondoc.Node, found, ok bool) {
	e := c.Tx.Find(c.Args[i])
	switch {
	case e == nil:
		return root, false, true
	case engine.Kind(e.Kind()) != engine.JSON:
		c.Fail(errJSONType)
		return root, false, false
	}
	return jsondoc.Root(e.Value()), true, true
}

// jsonEdit finds the document of a key to change it; nil where there is none. false: the error is replied.
func (c *Ctx) jsonEdit(i int) (e *table.Entry, ok bool) {
	if e = c.Tx.Edit(c.Args[i]); e != nil && engine.Kind(e.Kind()) != engine.JSON {
		c.Fail(errJSONType)
		return nil, false
	}
	return e, true
}

// jsonTarget finds the values of a path in the document of argument 1, which must be there, to change them. false: the
// error is replied.
func (c *Ctx) jsonTarget(path int) (e *table.Entry, p *jsondoc.Path, found []jsondoc.Node, ok bool) {
	if e, ok = c.jsonEdit(1); !ok {
		return nil, nil, nil, false
	}
	if e == nil {
		c.Fail(errJSONMissing)
		return nil, nil, nil, false
	}
	if p, ok = c.jsonPath(path); !ok {
		return nil, nil, nil, false
	}
	found, ok = c.jsonFind(p, jsondoc.Root(e.Value()))
	return e, p, found, ok
}

// jsonFind finds the values of a path. false: the error is replied.
func (c *Ctx) jsonFind(p *jsondoc.Path, root jsondoc.Node) ([]jsondoc.Node, bool) {
	found, err := p.Find(nil, root)
	if err != nil {
		c.jsonFail(err)
	}
	return found, err == nil
}

// jsonValue parses the JSON text at an argument. false: the error is replied.
func (c *Ctx) jsonValue(i int) (jsondoc.Value, bool) {
	b, err := jsondoc.Parse(nil, c.Args[i])
	if err != nil {
		c.jsonFail(err)
		return jsondoc.Value{}, false
	}
	return jsondoc.Encoded(b), true
}

// jsonPut makes a value the document of a key; one that is there keeps its TTL.
func (c *Ctx) jsonPut(key []byte, e *table.Entry, v jsondoc.Value) error {
	if e == nil {
		if len(v.Bytes) > jsondoc.MaxSize {
			return jsondoc.ErrLarge
		}
		e = c.Tx.Create(key, engine.JSON, len(v.Bytes), 0)
	}
	return jsondoc.Put(e, v.Bytes)
}
