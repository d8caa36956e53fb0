package object_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/larderdb/larder"
)

// BenchmarkObject is each operation on the embedded store, on objects of some fifteen fields.
func BenchmarkObject(b *testing.B) {
	db, err := larder.Open(larder.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	h := accounts(b, db, "acc:")
	ids := make([]string, 1000)
	for i := range ids {
		ids[i] = strconv.Itoa(i)
		in := someone()
		if err := h.Save(b.Context(), ids[i], &in); err != nil {
			b.Fatal(err)
		}
	}
	name := field[string](b, h, "name")
	visits := counter[int64](b, h, "visits")
	ctx := b.Context()
	v := someone()
	run := func(what string, call func(id string) error) {
		b.Run(what, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := call(ids[i%len(ids)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("Save", func(id string) error { return h.Save(ctx, id, &v) })
	run("Load", func(id string) error { _, _, err := h.Load(ctx, id); return err })
	run("LoadMany of 100", func(string) error { _, err := h.LoadMany(ctx, ids[:100]...); return err })
	run("Get", func(id string) error { _, _, err := name.Get(ctx, id); return err })
	run("Set", func(id string) error { _, err := name.Set(ctx, id, time.Second.String()); return err })
	run("Add", func(id string) error { _, _, err := visits.Add(ctx, id, 1); return err })
	run("Update", func(id string) error {
		_, _, err := h.Update(ctx, id, func(a *account) error { a.Visits++; return nil })
		return err
	})
}
