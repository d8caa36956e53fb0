package session_test

import (
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/session"
)

func BenchmarkManager(b *testing.B) {
	db, err := larder.Open(larder.Options{})
	must(b, err)
	b.Cleanup(func() { _ = db.Close() })
	d := desk{b, manager(b, db, session.Options{})}
	s := d.New()
	d.theme(s, strings.Repeat("x", 200))
	must(b, cart.Set(s, []int{1, 2, 3}))
	must(b, s.Login("ann"))
	token := d.save(s)
	b.Run("load", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d.load(token)
		}
	})
	b.Run("load and save a field", func(b *testing.B) {
		b.ReportAllocs()
		n := 0
		for b.Loop() {
			s := d.load(token)
			n++
			_ = count.Set(s, n)
			d.save(s)
		}
	})
	b.Run("load and save a field, parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			s := d.New()
			d.theme(s, "x")
			token := d.save(s)
			for n := 0; pb.Next(); n++ {
				s := d.load(token)
				_ = count.Set(s, n)
				d.save(s)
			}
		})
	})
}

func BenchmarkSCS(b *testing.B) {
	db, err := larder.Open(larder.Options{})
	must(b, err)
	b.Cleanup(func() { _ = db.Close() })
	s := newSCS(b, db)
	data, until := []byte(strings.Repeat("x", 300)), time.Now().Add(time.Hour)
	must(b, s.Commit("token", data, until))
	b.Run("find", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, found, err := s.Find("token"); !found || err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("commit", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			must(b, s.Commit("token", data, until))
		}
	})
}
