package codec

import (
	"errors"
	"reflect"
	"testing"

	"github.com/larderdb/larder/store"
)

type thing struct {
	Name string `json:"name"`
	N    int
	List []string
	Mark string `json:"-"`
}

func TestRoundTrips(t *testing.T) {
	in := thing{"a<b", 7, []string{"x"}, "m"}
	for _, c := range []Codec{JSON{}, MsgPack{}} {
		b, err := c.Append([]byte("head"), &in)
		if err != nil || string(b[:4]) != "head" {
			t.Fatalf("%s: %q, %v", c.Name(), b, err)
		}
		var out thing
		if err := c.Decode(b[4:], &out); err != nil {
			t.Fatal(err)
		}
		want := in
		if c.Name() == "json" {
			want.Mark = ""
			if string(b[4:]) != `{"name":"a<b","N":7,"List":["x"]}` {
				t.Errorf("json: %s", b[4:])
			}
		}
		if !reflect.DeepEqual(out, want) {
			t.Errorf("%s: %+v", c.Name(), out)
		}
		for _, bad := range []string{"", "\xc1", string(b[4 : len(b)-1]), string(b[4:]) + "x"} {
			if err := c.Decode([]byte(bad), new(thing)); err == nil {
				t.Errorf("%s decodes %q", c.Name(), bad)
			}
		}
	}
}

func TestRaw(t *testing.T) {
	s, b := "text", []byte("bytes")
	for in, out := range map[any]any{&s: new(string), &b: new([]byte)} {
		data, err := Raw{}.Append(nil, in)
		if err != nil {
			t.Fatal(err)
		}
		if err := (Raw{}).Decode(data, out); err != nil || !reflect.DeepEqual(in, out) {
			t.Errorf("%v, %v", out, err)
		}
		clear(data)
		if !reflect.DeepEqual(in, out) {
			t.Error("what was decoded shares the data")
		}
	}
	n := 1
	if _, err := (Raw{}).Append(nil, &n); !errors.Is(err, store.ErrInvalid) {
		t.Error(err)
	}
	if err := (Raw{}).Decode(nil, &n); !errors.Is(err, store.ErrInvalid) {
		t.Error(err)
	}
}

func TestFor(t *testing.T) {
	name := func(c Codec, err error) string {
		if err != nil {
			if !errors.Is(err, store.ErrInvalid) {
				t.Error(err)
			}
			return "invalid"
		}
		return c.Name()
	}
	for _, test := range []struct{ got, want string }{
		{name(For[string](nil, JSON{})), "raw"},
		{name(For[[]byte](nil, JSON{})), "raw"},
		{name(For[string](MsgPack{}, JSON{})), "msgpack"},
		{name(For[thing](nil, JSON{})), "json"},
		{name(For[thing](Raw{}, JSON{})), "invalid"},
		{name(For[chan int](nil, JSON{})), "invalid"},
		{name(For[func()](nil, JSON{})), "invalid"},
	} {
		if test.got != test.want {
			t.Errorf("got %s, want %s", test.got, test.want)
		}
	}
}
