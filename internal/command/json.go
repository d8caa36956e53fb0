package command

import (
	"slices"
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

// jsonCondition is NX or XX.
type jsonCondition uint8

const (
	jsonAlways jsonCondition = iota
	jsonNX
	jsonXX
)

// jsonOptions reads what follows the value: NX or XX, where they may stand, and FORMAT. false: the error is replied.
func (c *Ctx) jsonOptions(conditions bool) (cond jsonCondition, ok bool) {
	for i := 4; i < len(c.Args); i++ {
		switch {
		case conditions && cond == jsonAlways && c.Is(i, "NX"):
			cond = jsonNX
		case conditions && cond == jsonAlways && c.Is(i, "XX"):
			cond = jsonXX
		case !c.Is(i, "FORMAT"):
			c.Fail(errSyntax)
			return cond, false
		default:
			if i++; i == len(c.Args) {
				c.Fail(c.arityError())
				return cond, false
			}
			if f := string(c.Args[i]); f != "STRING" && f != "JSON" {
				c.FailText("ERR wrong format")
				return cond, false
			}
		}
	}
	return cond, true
}

func jsonSet(c *Ctx) {
	cond, ok := c.jsonOptions(true)
	if !ok {
		return
	}
	e, ok := c.jsonEdit(1)
	if !ok {
		return
	}
	v, ok := c.jsonValue(3)
	if !ok {
		return
	}
	if e == nil && cond == jsonXX {
		c.Out.Null()
		return
	}
	done, err := c.jsonSetAt(e, c.Args[1], c.Args[2], v, cond)
	switch {
	case err != nil:
		c.jsonFail(err)
	case !done:
		c.Out.Null()
	default:
		c.Tx.Changed(c.Args[1], engine.EventJSONSet)
		c.OK()
	}
}

// jsonSetAt sets the values at a path, or adds the member that the path names. It reports whether something changed.
func (c *Ctx) jsonSetAt(e *table.Entry, key, path []byte, v jsondoc.Value, cond jsonCondition) (bool, error) {
	p, err := c.paths.compile(path)
	switch {
	case err != nil && e == nil:
		return false, errJSONNew
	case err != nil:
		return false, err
	case p.Root():
		if e != nil && cond == jsonNX {
			return false, nil
		}
		return true, c.jsonPut(key, e, v)
	case e == nil:
		return false, errJSONNew
	}
	root := jsondoc.Root(e.Value())
	if cond != jsonNX {
		found, err := p.Find(nil, root)
		if err != nil {
			return false, err
		}
		if len(found) > 0 {
			return true, jsondoc.Apply(e, jsondoc.Outermost(found), func(int, jsondoc.Node) (jsondoc.Change, error) {
				return jsondoc.Replace(v), nil
			})
		}
	}
	if cond == jsonXX {
		return false, nil
	}
	return jsonAdd(e, p, v)
}

// jsonAdd adds the member that a path ends in, if its object is there and has none of the name.
func jsonAdd(e *table.Entry, p *jsondoc.Path, v jsondoc.Value) (bool, error) {
	root := jsondoc.Root(e.Value())
	parent, name, index, err := p.ParentAndName()
	if err != nil {
		return false, err
	}
	if index {
		if _, ok, err := p.First(root); ok || err != nil {
			return false, err
		}
		return false, engine.Error("ERR array index out of range")
	}
	n, ok, err := parent.First(root)
	if !ok || err != nil || n.Type() != jsondoc.Object {
		return false, err
	}
	if _, _, ok = n.Member(name); ok {
		return false, nil
	}
	err = jsondoc.Apply(e, []jsondoc.Node{n}, func(_ int, n jsondoc.Node) (jsondoc.Change, error) {
		return jsondoc.AddMember(n, name, v), nil
	})
	return err == nil, err
}

// jsonMSet checks everything before it changes anything.
func jsonMSet(c *Ctx) {
	if len(c.Args)%3 != 1 {
		c.Fail(c.arityError())
		return
	}
	values := make([]jsondoc.Value, 0, len(c.Args)/3)
	for i := 1; i < len(c.Args); i += 3 {
		e, ok := c.jsonEdit(i)
		if !ok {
			return
		}
		if err := c.jsonCheckSet(e, c.Args[i+1]); err != nil {
			c.jsonFail(err)
			return
		}
		v, ok := c.jsonValue(i + 2)
		if !ok {
			return
		}
		values = append(values, v)
		c.Tx.Step()
	}
	for i := 1; i < len(c.Args); i += 3 {
		e := c.Tx.Edit(c.Args[i])
		done, err := c.jsonSetAt(e, c.Args[i], c.Args[i+1], values[i/3], jsonAlways)
		if done && err == nil {
			c.Tx.Changed(c.Args[i], engine.EventJSONMSet)
		}
		c.Tx.Step()
		if err == error(jsondoc.ErrLarge) || err == error(jsondoc.ErrDeep) || err == error(jsondoc.ErrCosty) {
			c.jsonFail(err)
			return
		} // else what was there has gone with an earlier change of the same key
	}
	c.OK()
}

// jsonCheckSet refuses a path at which nothing can be set.
func (c *Ctx) jsonCheckSet(e *table.Entry, path []byte) error {
	p, err := c.paths.compile(path)
	switch {
	case err != nil && e == nil:
		return errJSONNew
	case err != nil || p.Root():
		return err
	case e == nil:
		return errJSONNew
	}
	root := jsondoc.Root(e.Value())
	if _, ok, err := p.First(root); ok || err != nil {
		return err
	}
	_, _, index, err := p.ParentAndName()
	if err == nil && index {
		err = engine.Error("ERR array index out of range")
	}
	return err
}

func jsonMerge(c *Ctx) {
	if _, ok := c.jsonOptions(false); !ok {
		return
	}
	e, ok := c.jsonEdit(1)
	if !ok {
		return
	}
	v, ok := c.jsonValue(3)
	if !ok {
		return
	}
	done, err := c.jsonMergeAt(e, v)
	switch {
	case err != nil:
		c.jsonFail(err)
	case !done:
		c.Out.Null()
	default:
		c.Tx.Changed(c.Args[1], engine.EventJSONMerge)
		c.OK()
	}
}

func (c *Ctx) jsonMergeAt(e *table.Entry, v jsondoc.Value) (bool, error) {
	p, err := c.paths.compile(c.Args[2])
	switch {
	case e == nil && (err != nil || !p.Root()):
		return false, errJSONNew
	case err != nil:
		return false, err
	case e == nil:
		return true, c.jsonPut(c.Args[1], nil, v)
	}
	found, err := p.Find(nil, jsondoc.Root(e.Value()))
	if err != nil {
		return false, err
	}
	if len(found) == 0 {
		return jsonAdd(e, p, v)
	}
	patch := jsondoc.Root(v.Bytes)
	err = jsondoc.Apply(e, found, func(_ int, n jsondoc.Node) (jsondoc.Change, error) {
		merged, err := jsondoc.Merged(n, patch)
		return jsondoc.Replace(merged), err
	})
	return err == nil, err
}

func jsonDel(c *Ctx) {
	e, ok := c.jsonEdit(1)
	if !ok {
		return
	}
	if e == nil {
		c.Out.Int(0)
		return
	}
	p, ok := c.jsonPath(2)
	if !ok {
		return
	}
	if p.Root() {
		c.Tx.Remove(e, c.Args[1], engine.EventJSONDel)
		c.Out.Int(1)
		return
	}
	found, ok := c.jsonFind(p, jsondoc.Root(e.Value()))
	if !ok {
		return
	}
	found = jsondoc.Outermost(found)
	if len(found) > 0 && c.jsonApply(e, found, engine.EventJSONDel, func(int, jsondoc.Node) (jsondoc.Change, error) {
		return jsondoc.Drop(), nil
	}) != nil {
		return
	}
	c.Out.Int(int64(len(found)))
}

// jsonApply changes values of the document of argument 1 and tells the change; an error is replied.
func (c *Ctx) jsonApply(e *table.Entry, found []jsondoc.Node, ev engine.Event, change func(i int, n jsondoc.Node) (jsondoc.Change, error)) error {
	if err := jsondoc.Apply(e, found, change); err != nil {
		c.jsonFail(err)
		return err
	}
	c.Tx.Changed(c.Args[1], ev)
	return nil
}

func jsonClear(c *Ctx) {
	e, _, found, ok := c.jsonTarget(2)
	if !ok {
		return
	}
	found = slices.DeleteFunc(jsondoc.Outermost(found), func(n jsondoc.Node) bool { return !jsonClearable(n) })
	empty := map[jsondoc.Type]string{jsondoc.Array: "[]", jsondoc.Object: "{}"}
	if len(found) > 0 && c.jsonApply(e, found, engine.EventJSONClear, func(_ int, n jsondoc.Node) (jsondoc.Change, error) {
		text := empty[n.Type()]
		if text == "" {
			text = "0"
		}
		b, err := jsondoc.Parse(nil, []byte(text))
		return jsondoc.Replace(jsondoc.Encoded(b)), err
	}) != nil {
		return
	}
	c.Out.Int(int64(len(found)))
}

// jsonClearable tells whether JSON.CLEAR changes a value.
func jsonClearable(n jsondoc.Node) bool {
	switch t := n.Type(); {
	case t == jsondoc.Array || t == jsondoc.Object:
		return n.Len() > 0
	default:
		return t.Number() && n.Float() != 0
	}
}
