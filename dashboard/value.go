package dashboard

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/larderdb/larder/store"
)

// rows is a piece of a collection: what the elements consist of depends on the type.
type rows struct {
	Rows [][]any `json:"rows"`
	Next string  `json:"next,omitempty"` // cursor, offset or ID to go on from; empty: the end
	Cut  bool    `json:"cut,omitempty"`  // the server sent more at once than can be shown, without a place to go on from

	Groups []streamGroup `json:"groups,omitempty"`
}

// piece is which part of a value a request wants.
type piece struct {
	key   string
	from  string
	count int64
}

// maxJSON is the largest JSON value that is shown: it comes whole or not at all.
const maxJSON = 1 << 20

// value reads a piece of a value, from where the request says.
func (d *Dashboard) value(ctx context.Context, f *keyFacts, key string, q *query) (any, error) {
	count, err := q.number("count", 1, maxPage, pageElements)
	if err != nil {
		return nil, err
	}
	p := piece{key, q.text("from"), count}
	switch f.Type {
	case "string":
		return d.stringValue(ctx, q, key)
	case "hash":
		return d.scanned(ctx, p, "HSCAN", 2)
	case "set":
		return d.scanned(ctx, p, "SSCAN", 1)
	case "list":
		return d.ranged(ctx, p, store.Cmd{"LRANGE"}, 1)
	case "zset":
		return d.ranged(ctx, p, store.Cmd{"ZRANGE"}, 2)
	case "stream":
		return d.streamValue(ctx, p)
	case "ReJSON-RL":
		return d.jsonValue(ctx, f, key)
	}
	f.Problem = "the dashboard does not know how to show this type"
	return nil, nil
}

// window is a part of a string.
type window struct {
	Offset int64  `json:"offset"`
	Data   []byte `json:"data"` // base64 in JSON
}

func (d *Dashboard) stringValue(ctx context.Context, q *query, key string) (any, error) {
	from, err := q.number("from", 0, math.MaxInt32, 0)
	if err != nil {
		return nil, err
	}
	b, err := d.st.Do(ctx, "GETRANGE", key, strconv.FormatInt(from, 10), strconv.FormatInt(from+windowBytes-1, 10)).Bytes()
	return window{from, b}, err
}

// clip runs a command by clipScript.
func (d *Dashboard) clip(ctx context.Context, key string, cmd ...string) (r store.Reply, cut bool, err error) {
	args := append([]string{strconv.Itoa(clipBytes), strconv.Itoa(maxElements)}, cmd...)
	list, err := d.st.Run(ctx, clipScript, []string{key}, args...).Array()
	if err != nil {
		return r, false, err
	}
	if len(list) != 2 {
		return r, false, store.ErrReply
	}
	n, err := list[0].Int64()
	return list[1], n == 1, err
}

// scanned is a page of HSCAN or SSCAN, with so many strings per element.
func (d *Dashboard) scanned(ctx context.Context, p piece, command string, width int) (any, error) {
	if p.from == "" {
		p.from = "0"
	}
	if _, err := strconv.ParseUint(p.from, 10, 64); err != nil {
		return nil, bad("from: want a cursor")
	}
	r, cut, err := d.clip(ctx, p.key, command, p.key, p.from, "COUNT", strconv.FormatInt(p.count, 10))
	if err != nil {
		return nil, err
	}
	list, err := r.Array()
	if err != nil || len(list) != 2 {
		return nil, errors.Join(err, store.ErrReply)
	}
	next, err := list[0].Text()
	if err != nil {
		return nil, err
	}
	if next == "0" {
		next = ""
	}
	all, err := list[1].Array()
	if err != nil {
		return nil, err
	}
	return rows{Rows: grouped(all, width), Next: next, Cut: cut}, nil
}

func grouped(all []store.Reply, width int) [][]any {
	out := make([][]any, 0, len(all)/width)
	for i := 0; i+width <= len(all); i += width {
		row := make([]any, width)
		for j := range row {
			row[j] = unclip(all[i+j])
		}
		out = append(out, row)
	}
	return out
}

// ranged is a page of LRANGE, or of ZRANGE with scores.
func (d *Dashboard) ranged(ctx context.Context, p piece, cmd store.Cmd, width int) (any, error) {
	from := int64(0)
	if p.from != "" {
		var err error
		if from, err = strconv.ParseInt(p.from, 10, 64); err != nil || from < 0 || from > math.MaxInt32 {
			return nil, bad("from: want an offset")
		}
	}
	cmd = append(cmd, p.key, strconv.FormatInt(from, 10), strconv.FormatInt(from+p.count-1, 10))
	if width == 2 {
		cmd = append(cmd, "WITHSCORES")
	}
	r, cut, err := d.clip(ctx, p.key, cmd...)
	if err != nil {
		return nil, err
	}
	list, err := r.Array()
	if err != nil {
		return nil, err
	}
	out := rows{Rows: grouped(list, width), Cut: cut}
	if int64(len(out.Rows)) == p.count {
		out.Next = strconv.FormatInt(from+p.count, 10)
	}
	return out, nil
}

// streamGroup is a consumer group of a stream.
type streamGroup struct {
	Name      blob   `json:"name"`
	Consumers int64  `json:"consumers"`
	Pending   int64  `json:"pending"`
	Last      string `json:"last"`
	Lag       *int64 `json:"lag,omitempty"`
}

// maxGroups bounds what is told of a stream.
const maxGroups = 100

// streamValue is a page of entries, newest first: a row is the ID and then its fields and values.
func (d *Dashboard) streamValue(ctx context.Context, p piece) (any, error) {
	end := "+"
	if p.from != "" {
		end = "(" + p.from
	}
	r, cut, err := d.clip(ctx, p.key, "XREVRANGE", p.key, end, "-", "COUNT", strconv.FormatInt(p.count, 10))
	if err != nil {
		return nil, err
	}
	list, err := r.Array()
	if err != nil {
		return nil, err
	}
	out := rows{Rows: [][]any{}, Cut: cut}
	for _, e := range list {
		entry, err := e.Array()
		if err != nil || len(entry) != 2 {
			return nil, errors.Join(err, store.ErrReply)
		}
		id, err := entry[0].Text()
		if err != nil {
			return nil, err
		}
		row := []any{blob{s: id}}
		fields, _ := entry[1].Array() //nolint:errcheck // none
		for _, f := range fields {
			row = append(row, unclip(f))
		}
		out.Rows = append(out.Rows, row)
		out.Next = id
	}
	if int64(len(out.Rows)) < p.count {
		out.Next = ""
	}
	if p.from == "" {
		out.Groups = d.groups(ctx, p.key)
	}
	return out, nil
}

func (d *Dashboard) groups(ctx context.Context, key string) (out []streamGroup) {
	list, err := d.st.Do(ctx, "XINFO", "GROUPS", key).Array()
	if err != nil {
		return nil
	}
	for _, g := range list[:min(len(list), maxGroups)] {
		pairs, err := g.Pairs()
		if err != nil {
			return out
		}
		var group streamGroup
		for i := 0; i+1 < len(pairs); i += 2 {
			name, _ := pairs[i].Text()    //nolint:errcheck // none of ours
			n, nerr := pairs[i+1].Int64() //nolint:errcheck // 0
			text, _ := pairs[i+1].Text()  //nolint:errcheck // ""
			switch name {
			case "name":
				group.Name = clipped(text, slowBytes)
			case "consumers":
				group.Consumers = n
			case "pending":
				group.Pending = n
			case "last-delivered-id":
				group.Last = text
			case "lag":
				if nerr == nil {
					group.Lag = &n
				}
			}
		}
		out = append(out, group)
	}
	return out
}

// jsonValue is a value of JSON.SET. It comes whole, so it comes only if it is not large.
func (d *Dashboard) jsonValue(ctx context.Context, f *keyFacts, key string) (any, error) {
	if f.Bytes == nil || *f.Bytes > maxJSON {
		f.Problem = fmt.Sprintf("JSON of more than %d KB, or of unknown size, is not shown", maxJSON>>10)
		return nil, nil
	}
	s, err := d.st.Do(ctx, "JSON.GET", key).Text()
	if err != nil {
		return nil, err
	}
	if len(s) > 4*maxJSON {
		f.Problem = "this JSON is too long to be shown"
		return nil, nil
	}
	return map[string]any{"json": s}, nil
}
