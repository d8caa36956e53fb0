package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/larderdb/larder/store"
)

// Package leaderboard says how a board lies in the store: leaderboard/script.go.

// boardRow is a leaderboard in the list.
type boardRow struct {
	Key     blob  `json:"key"`
	Prefix  blob  `json:"prefix"`
	Group   blob  `json:"group"`
	Name    blob  `json:"name"`
	Members int64 `json:"members"`
	TTL     int64 `json:"ttl"`   // ms; -1: none
	Dense   bool  `json:"dense"` // it keeps its different scores
	Data    bool  `json:"data"`
	Ties    bool  `json:"ties"`   // who was first stands first
	Lowest  bool  `json:"lowest"` // the lowest score is the best
}

// stampLen is how many bytes stand before a member where ties are by who was first.
const stampLen = 6

// boardKeys takes the key of a board's scores apart: PREFIX{TAG}s:NAME.
func boardKeys(key string) (row boardRow, root, name string, ok bool) {
	prefix, tag, rest, ok := splitTag(key)
	if !ok {
		return row, "", "", false
	}
	if name, ok = strings.CutPrefix(rest, "s:"); !ok {
		return row, "", "", false
	}
	row = boardRow{Key: blob{s: key}, Prefix: blob{s: prefix}, Name: blob{s: name}, Group: blob{s: tag}}
	if name == "" {
		row.Name, row.Group = row.Group, blob{}
	}
	return row, prefix + "{" + tag + "}", name, true
}

// boards answers the leaderboards that a scan finds: match, cursor.
func (d *Dashboard) boards(ctx context.Context, q *query) (any, error) {
	f, err := d.find(ctx, q, "*{*}s:*", "zset", maxFound)
	if err != nil {
		return nil, err
	}
	out, err := d.boardFacts(ctx, f.keys)
	if err != nil {
		return nil, err
	}
	return struct {
		found
		Boards []boardRow `json:"boards"`
	}{f, out}, nil
}

// boardFacts reads what is known of boards by the keys of their scores, all at once. Keys that are no board's are left out.
func (d *Dashboard) boardFacts(ctx context.Context, keys []string) ([]boardRow, error) {
	out := []boardRow{}
	var cmds []store.Cmd
	for _, key := range keys {
		row, root, name, ok := boardKeys(key)
		if !ok {
			continue
		}
		out = append(out, row)
		cmds = append(cmds, store.Cmd{"ZCARD", key}, store.Cmd{"PTTL", key}, store.Cmd{"EXISTS", root + "t:" + name},
			store.Cmd{"EXISTS", root + "n:" + name}, store.Cmd{"EXISTS", root + "d:" + name}, store.Cmd{"ZRANGE", key, "-1", "-1", "WITHSCORES"})
	}
	const each = 6
	replies := d.pipe(ctx, cmds)
	boards := out[:0]
	for i := range out {
		row := out[i]
		switch err := row.read(replies[each*i : each*i+each]); {
		case foreign(err) || err == nil && row.Members == 0:
		case err != nil:
			return nil, err
		default:
			boards = append(boards, row)
		}
	}
	return boards, nil
}

func (b *boardRow) read(r []store.Reply) (err error) {
	if b.Members, err = r[0].Int64(); err != nil {
		return err
	}
	for i, to := range []*bool{&b.Ties, &b.Dense, &b.Data} {
		if *to, err = r[2+i].Bool(); err != nil {
			return err
		}
	}
	if b.TTL, err = r[1].Int64(); err != nil {
		return err
	}
	// Scores are stored with the best first, so where the highest is the best they are negated. Where the last stored one is above 0 the
	// board is one of times, or of scores below zero, which are rarer.
	worst, err := r[5].Scores()
	b.Lowest = len(worst) == 1 && worst[0].Score > 0
	return err
}

// foreign tells of an error that it means: somebody else's keys, or keys that the user of the store may not touch.
func foreign(err error) bool {
	return errors.Is(err, store.ErrWrongType) || errors.Is(err, store.ErrDenied)
}

// entryRow is a member of a board.
type entryRow struct {
	Rank   int64 `json:"rank"` // ordinal
	Member blob  `json:"member"`
	Score  score `json:"score"`
	Data   *blob `json:"data,omitempty"`
}

// score is a number in JSON, or the text "inf" or "-inf": a sorted set may have those, JSON has not.
type score float64

// MarshalJSON is as the type says.
func (s score) MarshalJSON() ([]byte, error) {
	switch f := float64(s); {
	case math.IsInf(f, 1):
		return []byte(`"inf"`), nil
	case math.IsInf(f, -1):
		return []byte(`"-inf"`), nil
	default:
		return json.Marshal(f)
	}
}

// board answers a page of a board: key, from, count.
func (d *Dashboard) board(ctx context.Context, q *query) (any, error) {
	key, err := q.bytes("key")
	if err != nil {
		return nil, err
	}
	from, err := q.number("from", 0, 1<<40, 0)
	if err != nil {
		return nil, err
	}
	found, err := d.boardFacts(ctx, []string{key})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, failure{404, "there is no such leaderboard"}
	}
	row := found[0]
	list, err := d.st.Do(ctx, "ZRANGE", key, strconv.FormatInt(from, 10), strconv.FormatInt(from+pageElements-1, 10), "WITHSCORES").Scores()
	if err != nil {
		return nil, err
	}
	entries := make([]entryRow, 0, len(list))
	members := []string{}
	for i, s := range list {
		if row.Ties && len(s.Member) >= stampLen {
			s.Member = s.Member[stampLen:]
		}
		if !row.Lowest && s.Score != 0 {
			s.Score = -s.Score
		}
		members = append(members, s.Member)
		entries = append(entries, entryRow{Rank: from + int64(i) + 1, Member: clipped(s.Member, clipBytes), Score: score(s.Score)})
	}
	if row.Data && len(members) > 0 {
		if err := d.addData(ctx, key, entries, members); err != nil {
			return nil, err
		}
	}
	return map[string]any{"board": row, "entries": entries}, nil
}

// addData adds what the board keeps of its members.
func (d *Dashboard) addData(ctx context.Context, key string, entries []entryRow, members []string) error {
	_, root, name, _ := boardKeys(key)
	of := root + "d:" + name
	r, _, err := d.clip(ctx, of, append([]string{"HMGET", of}, members...)...)
	if err != nil {
		return err
	}
	list, err := r.Array()
	if err != nil || len(list) != len(entries) {
		return store.ErrReply
	}
	for i := range entries {
		if !list[i].IsNil() {
			data := unclip(list[i])
			entries[i].Data = &data
		}
	}
	return nil
}
