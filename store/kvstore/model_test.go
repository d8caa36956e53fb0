package kvstore

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"

	"github.com/larderdb/larder/store"
)

// model reads answers by encoding/json: slowly, and as plainly as can be.

// modelAnswer is the reply to a command.
type modelAnswer struct {
	Result json.RawMessage `json:"result"`
	Error  *string         `json:"error"`
}

func (a *modelAnswer) reply() (store.Reply, error) {
	if a.Error != nil {
		return store.Fail(serverError(*a.Error)), nil
	}
	if bytes.Equal(a.Result, []byte(`"OK"`)) {
		return store.Status("OK"), nil
	}
	if a.Result == nil {
		return store.Reply{}, errModel
	}
	d := json.NewDecoder(bytes.NewReader(a.Result))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return store.Reply{}, errModel
	}
	return modelOf(v, false)
}

var errModel = errors.New("no answer")

// modelOf reads a result: null, a number, a string in base64, an array of those; within an array, what is no base64 is an error.
func modelOf(v any, within bool) (store.Reply, error) {
	switch v := v.(type) {
	case nil:
		return store.Nil(), nil
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return store.Int(n), nil
		}
		return store.Bulk(v.String()), nil
	case bool:
		return store.Boolean(v), nil
	case string:
		b, err := base64.StdEncoding.DecodeString(v)
		switch {
		case err == nil:
			return store.Bulk(string(b)), nil
		case v == "OK":
			return store.Status(v), nil
		case within:
			return store.Fail(store.ServerError("ERR " + v)), nil
		}
		return store.Reply{}, errModel
	case []any:
		list := make([]store.Reply, len(v))
		for i, e := range v {
			var err error
			if list[i], err = modelOf(e, true); err != nil {
				return store.Reply{}, err
			}
		}
		return store.ArrayOf(list...), nil
	}
	return store.Reply{}, errModel
}

// modelOne reads the answer to a single command.
func modelOne(body []byte) (store.Reply, error) {
	var a modelAnswer
	if err := json.Unmarshal(body, &a); err != nil {
		return store.Reply{}, errModel
	}
	return a.reply()
}

// modelList reads the answer to a pipeline.
func modelList(body []byte) ([]store.Reply, error) {
	var list []modelAnswer
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, errModel
	}
	replies := make([]store.Reply, len(list))
	for i := range list {
		var err error
		if replies[i], err = list[i].reply(); err != nil {
			return nil, err
		}
	}
	return replies, nil
}
