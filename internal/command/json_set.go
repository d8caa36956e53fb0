package command

import (
	"slices"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/mem/table"
	"github.com/larderdb/larder/internal/types/jsondoc"
)

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

// maxJSONMerge bounds what a patch of many values may cost, in bytes: one that only removes leaves nothing that is counted.
const maxJSONMerge = 1 << 30

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
	if len(found)*len(v.Bytes) > maxJSONMerge {
		return false, jsondoc.ErrCosty
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
