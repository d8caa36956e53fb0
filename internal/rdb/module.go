package rdb

// A value of a module is its module's type, then items with an opcode each, up to an opcode of its own. RedisJSON's are read
// and written, no others: a JSON document is one string, its text.

// Opcodes of items.
const (
	itemEnd    = 0
	itemUInt   = 2
	itemString = 5
)

// jsonVersion is the version of RedisJSON's format that is written; 2 has flags of a search index behind the text.
const jsonVersion = 3

// moduleType is how a module's type is written: nine characters of six bits, then ten bits of a version.
func moduleType(name string, version uint64) (id uint64) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i := range len(name) {
		for at := range len(letters) {
			if letters[at] == name[i] {
				id = id<<6 | uint64(at)
			}
		}
	}
	return id<<10 | version
}

const jsonType = "ReJSON-RL"

// Document writes a JSON document, given as text, in the type TypeModule2.
func (w *Writer) Document(text []byte) {
	w.Length(moduleType(jsonType, jsonVersion))
	w.Length(itemString)
	w.String(text)
	w.Length(itemEnd)
}

func (x *valueReader) document() error {
	id, err := x.Length()
	if err != nil {
		return err
	}
	version := id & (1<<10 - 1)
	if id != moduleType(jsonType, version) || version != jsonVersion && version != jsonVersion-1 {
		return ErrModule
	}
	if err := x.item(itemString); err != nil {
		return err
	}
	text, err := x.str(0)
	if err != nil {
		return err
	}
	if err := x.Kind(x.kind, x.t, 1); err != nil {
		return err
	}
	if err := x.Document(text); err != nil {
		return err
	}
	if version == jsonVersion-1 {
		if err := x.indexed(); err != nil {
			return err
		}
	}
	return x.item(itemEnd)
}

// indexed passes over the name and the path of a search index, if there is one.
func (x *valueReader) indexed() error {
	if err := x.item(itemUInt); err != nil {
		return err
	}
	n, err := x.Length()
	if err != nil || n == 0 {
		return err
	}
	for range 2 {
		if err := x.item(itemString); err != nil {
			return err
		}
		if _, err := x.str(0); err != nil {
			return err
		}
	}
	return nil
}

// item reads the opcode that must come next.
func (x *valueReader) item(opcode uint64) error {
	if got, err := x.Length(); err != nil || got != opcode {
		if err == nil {
			err = ErrModule
		}
		return err
	}
	return nil
}
