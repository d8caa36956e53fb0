package codec_test

import (
	"errors"
	"fmt"

	"github.com/larderdb/larder/codec"
	"github.com/larderdb/larder/store"
)

type order struct {
	ID    int    `json:"id"`
	Buyer string `json:"buyer"`
}

func Example() {
	data, err := codec.JSON{}.Append(nil, &order{7, "ada"})
	fmt.Println(string(data), err)

	var back order
	err = codec.Decode(codec.JSON{}, data, &back)
	fmt.Println(back, err)

	data, err = codec.MsgPack{}.Append(nil, &order{7, "ada"})
	fmt.Println(len(data), "bytes", err)
	// Output:
	// {"id":7,"buyer":"ada"} <nil>
	// {7 ada} <nil>
	// 15 bytes <nil>
}

// A pattern chooses a codec for its type: the caller's, or its own for all but strings and bytes.
func ExampleFor() {
	for _, pick := range []func(want, other codec.Codec) (codec.Codec, error){codec.For[order], codec.For[string]} {
		c, err := pick(nil, codec.MsgPack{})
		fmt.Println(c.Name(), err)
	}
	_, err := codec.For[chan int](nil, codec.MsgPack{})
	fmt.Println(errors.Is(err, store.ErrInvalid))
	// Output:
	// msgpack <nil>
	// raw <nil>
	// true
}
