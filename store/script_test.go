package store

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

func TestScriptSHA(t *testing.T) {
	s := &Script{Lua: "return 1"}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if got := s.SHA(); got != "e0e1f9fabfc9d4800c877a703b823ac0578ff8db" {
				t.Errorf("SHA: %s", got)
			}
		})
	}
	wg.Wait()
}

// recorder is a Store that answers every command with one reply and remembers it.
type recorder struct {
	Store
	reply Reply
	sent  []string
}

func (r *recorder) Do(_ context.Context, args ...string) Reply {
	r.sent = append([]string(nil), args...)
	return r.reply
}

func TestBytesFallBackToDo(t *testing.T) {
	ctx := context.Background()
	rec := &recorder{reply: Bulk("value")}
	got, found, err := GetterOf(rec).GetBytes(ctx, "k", []byte("to "))
	if string(got) != "to value" || !found || err != nil {
		t.Errorf("GetBytes: %q, %v, %v", got, found, err)
	}
	rec.reply = Nil()
	if got, found, err = GetterOf(rec).GetBytes(ctx, "k", []byte("to ")); string(got) != "to " || found || err != nil {
		t.Errorf("GetBytes of a missing key: %q, %v, %v", got, found, err)
	}
	rec.reply = Status("OK")
	for ttl, px := range map[time.Duration]string{0: "", 1: "1", time.Millisecond: "1", 1500 * time.Microsecond: "2"} {
		if err := SetterOf(rec).SetBytes(ctx, "k", []byte("v"), ttl); err != nil {
			t.Error(err)
		}
		if px == "" && len(rec.sent) != 3 || px != "" && (len(rec.sent) != 5 || rec.sent[4] != px) {
			t.Errorf("TTL %v: %v", ttl, rec.sent)
		}
	}
	if err := SetterOf(rec).SetBytes(ctx, "k", nil, -1); !errors.Is(err, ErrInvalid) {
		t.Errorf("negative TTL: %v", err)
	}
}
