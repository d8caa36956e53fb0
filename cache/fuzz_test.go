package cache_test

import (
	"testing"

	"github.com/larderdb/larder/cache"
	"github.com/larderdb/larder/store/storetest"
)

// FuzzEntry puts any bytes where an entry should be. Reading them may miss, fail, or find a value, but not panic.
func FuzzEntry(f *testing.F) {
	mem := storetest.NewMemory()
	for _, codec := range []cache.Codec{cache.MsgPack{}, cache.JSON{}} {
		o := options()
		o.Codec = codec
		c := newCache[product](f, mem, o)
		if err := c.Set(f.Context(), "seed", widget); err != nil {
			f.Fatal(err)
		}
		entry, _ := mem.Do(f.Context(), "GET", "product:seed").Bytes()
		f.Add(entry)
	}
	f.Add([]byte("\xca\x01\x01...."))
	f.Fuzz(func(t *testing.T, entry []byte) {
		mem := storetest.NewMemory()
		mem.Do(t.Context(), "SET", "product:k", string(entry))
		for _, codec := range []cache.Codec{cache.MsgPack{}, cache.JSON{}} {
			o := options()
			o.Codec = codec
			c := newCache[product](t, mem, o)
			if v, ok, _ := c.Get(t.Context(), "k"); !ok && (v.ID != 0 || v.Name != "") {
				t.Errorf("no entry, but a value: %+v", v)
			}
		}
	})
}
