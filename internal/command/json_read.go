package command

import (
	"slices"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/types/jsondoc"
)

// jsonLayout is how JSON.GET answers.
type jsonLayout struct {
	format jsondoc.Format
	reply  string // STRING, STRINGS, EXPAND1 or EXPAND
	resp3  bool
}

// expanded tells whether values are answered in the protocol's types.
func (l *jsonLayout) expanded() bool {
	return l.resp3 && (l.reply == "EXPAND" || l.reply == "EXPAND1")
}

func (l *jsonLayout) setReply(word []byte) error {
	switch l.reply = string(word); l.reply {
	case "STRING", "STRINGS", "EXPAND1", "EXPAND":
		return nil
	}
	return errJSONFormat
}

func jsonGet(c *Ctx) {
	l := jsonLayout{reply: "STRING", resp3: c.Out.Proto() == 3}
	texts, ok := c.jsonGetOptions(&l)
	if !ok {
		return
	}
	root, found, ok := c.jsonRead(1)
	switch {
	case !ok:
	case !found:
		c.Out.Null()
	case l.expanded():
		c.jsonReplyExpanded(root, texts, &l)
	case len(texts) > 1:
		c.jsonReplyPaths(root, texts, &l)
	default:
		c.jsonReplyPath(root, texts[0], &l)
	}
}

// jsonGetOptions reads the options of JSON.GET; other words are paths. false: the error is replied.
func (c *Ctx) jsonGetOptions(l *jsonLayout) (paths [][]byte, ok bool) {
	for i := 2; i < len(c.Args); i++ {
		var to *[]byte
		switch {
		case c.Is(i, "NOESCAPE"):
			continue
		case c.Is(i, "INDENT"):
			to = &l.format.Indent
		case c.Is(i, "NEWLINE"):
			to = &l.format.Newline
		case c.Is(i, "SPACE"):
			to = &l.format.Space
		case !c.Is(i, "FORMAT"):
			paths = append(paths, c.Args[i])
			continue
		case !l.resp3 && len(paths) == 0:
			c.FailText("ERR FORMAT argument is not supported on RESP2")
			return nil, false
		}
		if i++; i == len(c.Args) {
			c.Fail(c.arityError())
			return nil, false
		}
		if to != nil {
			*to = c.Args[i]
			continue
		}
		if err := l.setReply(c.Args[i]); err != nil || l.reply == "STRINGS" {
			c.Fail(errJSONFormat)
			return nil, false
		}
	}
	if paths == nil {
		paths = [][]byte{{'.'}}
	}
	return paths, true
}

// jsonReplyPath replies the value at a legacy path, or an array of those at a JSONPath, as text.
func (c *Ctx) jsonReplyPath(root jsondoc.Node, text []byte, l *jsonLayout) {
	p, err := c.paths.compile(text)
	if err == nil {
		var b []byte
		if b, err = jsonText(root, p, &l.format); err == nil {
			c.Out.Bulk(b)
			return
		}
	}
	c.jsonFail(err)
}

// maxJSONRoom is how much room is made for a text at once, in bytes: values within each other count more than once.
const maxJSONRoom = 1 << 20

// jsonText is the text of the value at a legacy path, or of an array of those at a JSONPath.
func jsonText(root jsondoc.Node, p *jsondoc.Path, f *jsondoc.Format) ([]byte, error) {
	if p.Legacy() {
		n, ok, err := p.First(root)
		if err == nil && !ok {
			err = errJSONPath
		}
		if err != nil {
			return nil, err
		}
		if _, err = jsonBounded(0, []jsondoc.Node{n}, f); err != nil {
			return nil, err
		}
		return n.AppendFormat(make([]byte, 0, n.TextRoom()), f), nil
	}
	found, err := p.Find(nil, root)
	if err != nil {
		return nil, err
	}
	return jsonArray(nil, found, f)
}

func jsonArray(b []byte, found []jsondoc.Node, f *jsondoc.Format) ([]byte, error) {
	b = f.Open(b, '[')
	room, err := jsonBounded(len(b), found, f)
	if err != nil {
		return nil, err
	}
	b = slices.Grow(b, min(room, maxJSONRoom))
	for i, n := range found {
		b = n.AppendFormat(f.Next(b, i), f)
	}
	return f.Close(b, ']', len(found)), nil
}

// jsonBounded refuses to reply values that come to more than a document may: values within each other count each, and so
// does the layout. It gives about how long their text is.
func jsonBounded(room int, found []jsondoc.Node, f *jsondoc.Format) (int, error) {
	for _, n := range found {
		if room += n.TextRoom() + f.Room(n); room > 2*jsondoc.MaxSize {
			return 0, jsondoc.ErrCosty
		}
	}
	return room, nil
}

// jsonReplyPaths replies one object with a member for each path: the value, if all paths are legacy, else arrays. A path
// that is none is left out.
func (c *Ctx) jsonReplyPaths(root jsondoc.Node, texts [][]byte, l *jsonLayout) {
	legacy := true
	var paths []*jsondoc.Path
	seen := make(map[string]bool)
	for _, text := range texts {
		p, err := c.paths.compile(text)
		if err == nil && !seen[p.Text()] {
			paths = append(paths, p)
			seen[p.Text()] = true
		}
		legacy = legacy && jsondoc.IsLegacy(text)
	}
	f := &l.format
	b := f.Open(nil, '{')
	for i, p := range paths {
		found, err := p.Find(nil, root)
		if err == nil && legacy && len(found) == 0 {
			err = errJSONPath
		}
		if err != nil {
			c.jsonFail(err)
			return
		}
		b = f.Name(b, i, []byte(p.Text()))
		if legacy {
			found = found[:1]
			if _, err = jsonBounded(len(b), found, f); err == nil {
				b = found[0].AppendFormat(b, f)
			}
		} else {
			b, err = jsonArray(b, found, f)
		}
		if err != nil {
			c.jsonFail(err)
			return
		}
	}
	c.Out.Bulk(f.Close(b, '}', len(paths)))
}

// jsonReplyExpanded replies an array of the values for each path.
func (c *Ctx) jsonReplyExpanded(root jsondoc.Node, texts [][]byte, l *jsonLayout) {
	all, room := make([][]jsondoc.Node, len(texts)), 0
	for i, text := range texts {
		p, err := c.paths.compile(text)
		if err != nil {
			continue // no values
		}
		if all[i], err = p.Find(nil, root); err == nil {
			room, err = jsonBounded(room, all[i], &l.format)
		}
		if err != nil {
			c.jsonFail(err)
			return
		}
	}
	c.Out.Array(len(all))
	for _, found := range all {
		c.Out.Array(len(found))
		for _, n := range found {
			c.jsonReplyNode(n, l)
		}
	}
}

// jsonReplyNode replies a value in the protocol's types; with EXPAND1 arrays and objects are text.
func (c *Ctx) jsonReplyNode(n jsondoc.Node, l *jsonLayout) {
	t := n.Type()
	switch {
	case t == jsondoc.Null:
		c.Out.Null()
	case t == jsondoc.Bool:
		c.Out.Bool(n.Bool())
	case t == jsondoc.Int:
		c.Out.Int(n.Int())
	case t.Number():
		c.Out.Double(n.Float())
	case l.reply != "EXPAND":
		c.Out.Bulk(n.AppendFormat(nil, &l.format))
	case t == jsondoc.String:
		c.Out.Bulk(n.Bytes())
	case t == jsondoc.Array:
		c.Out.Array(n.Len())
		n.Elements(func(_ int, v jsondoc.Node) bool { c.jsonReplyNode(v, l); return true })
	default:
		c.Out.Map(n.Len())
		n.Members(func(name []byte, v jsondoc.Node) bool {
			c.Out.Bulk(name)
			c.jsonReplyNode(v, l)
			return true
		})
	}
}

// jsonMGet replies nil for a key that is missing, of another type, or without a value at a legacy path.
func jsonMGet(c *Ctx) {
	last := len(c.Args) - 1
	p, bad := c.paths.compile(c.Args[last])
	c.Out.Array(last - 1)
	for _, key := range c.Args[1:last] {
		e := c.Tx.Find(key)
		if e == nil || engine.Kind(e.Kind()) != engine.JSON || bad != nil {
			c.Out.Null()
		} else if b, err := jsonText(jsondoc.Root(e.Value()), p, &jsondoc.Format{}); err != nil {
			c.Out.Null()
		} else {
			c.Out.Bulk(b)
		}
		c.Tx.Step()
	}
}

// jsonType wraps what it replies in one more array for RESP3, as RedisJSON does.
func jsonType(c *Ctx) {
	root, found, ok := c.jsonRead(1)
	if !ok {
		return
	}
	var nodes []jsondoc.Node
	legacy := true
	if found {
		p, err := c.paths.compile(c.jsonPathArg(2))
		legacy = err != nil && isLegacyArg(c.jsonPathArg(2)) || err == nil && p.Legacy()
		if err == nil {
			nodes, err = p.Find(nil, root)
		}
		if err != nil && !legacy {
			c.jsonFail(err)
			return
		}
	}
	if c.Out.Proto() == 3 {
		c.Out.Array(1)
	}
	switch {
	case legacy && len(nodes) == 0:
		c.Out.Null()
	case legacy:
		c.Out.BulkString(nodes[0].Type().String())
	default:
		c.Out.Array(len(nodes))
		for _, n := range nodes {
			c.Out.BulkString(n.Type().String())
		}
	}
}

// jsonPathArg is the path at an argument, or the root's in the legacy dialect where there is none.
func (c *Ctx) jsonPathArg(i int) []byte {
	if i < len(c.Args) {
		return c.Args[i]
	}
	return []byte{'.'}
}

func jsonResp(c *Ctx) {
	root, found, ok := c.jsonRead(1)
	if !ok {
		return
	}
	if !found {
		c.Out.Null()
		return
	}
	p, ok := c.jsonPath(2)
	if !ok {
		return
	}
	nodes, ok := c.jsonFind(p, root)
	if !ok {
		return
	}
	if _, err := jsonBounded(0, nodes, &jsondoc.Format{}); err != nil && !p.Legacy() {
		c.jsonFail(err)
		return
	}
	switch {
	case !p.Legacy():
		c.Out.Array(len(nodes))
		for _, n := range nodes {
			c.jsonReplyResp(n)
		}
	case len(nodes) == 0:
		c.Fail(errJSONPath)
	default:
		c.jsonReplyResp(nodes[0])
	}
}

// jsonReplyResp replies a value as JSON.RESP does: arrays and objects are arrays that begin with their bracket.
func (c *Ctx) jsonReplyResp(n jsondoc.Node) {
	switch n.Type() {
	case jsondoc.Null:
		c.Out.Null()
	case jsondoc.Bool:
		if n.Bool() {
			c.Out.Simple("true")
		} else {
			c.Out.Simple("false")
		}
	case jsondoc.Int:
		c.Out.Int(n.Int())
	case jsondoc.Uint, jsondoc.Float:
		c.Out.Double(n.Float())
	case jsondoc.String:
		c.Out.Bulk(n.Bytes())
	case jsondoc.Array:
		c.Out.Array(1 + n.Len())
		c.Out.Simple("[")
		n.Elements(func(_ int, v jsondoc.Node) bool { c.jsonReplyResp(v); return true })
	case jsondoc.Object:
		c.Out.Array(1 + 2*n.Len())
		c.Out.Simple("{")
		n.Members(func(name []byte, v jsondoc.Node) bool {
			c.Out.Bulk(name)
			c.jsonReplyResp(v)
			return true
		})
	}
}

func jsonDebug(c *Ctx) {
	switch {
	case c.Is(1, "HELP"):
		c.Out.Array(2)
		c.Out.BulkString("MEMORY <key> [path] - reports memory usage")
		c.Out.BulkString("HELP                - this message")
	case !c.Is(1, "MEMORY"):
		c.FailText("ERR unknown subcommand - try `JSON.DEBUG HELP`")
	case len(c.Args) < 3:
		c.Fail(c.arityError())
	default:
		c.jsonDebugMemory()
	}
}

// jsonDebugMemory replies the bytes that values take in their document.
func (c *Ctx) jsonDebugMemory() {
	root, found, ok := c.jsonRead(2)
	if !ok {
		return
	}
	p, ok := c.jsonPath(3)
	if !ok {
		return
	}
	var nodes []jsondoc.Node
	if found {
		if nodes, ok = c.jsonFind(p, root); !ok {
			return
		}
	}
	switch {
	case !p.Legacy():
		c.Out.Array(len(nodes))
		for _, n := range nodes {
			c.Out.Int(int64(n.Size()))
		}
	case !found:
		c.Out.Int(0)
	case len(nodes) == 0:
		c.Fail(errJSONPath)
	default:
		c.Out.Int(int64(nodes[0].Size()))
	}
}
