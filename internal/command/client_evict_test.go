package command_test

import (
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/internal/command"
	"github.com/larderdb/larder/internal/resp"
)

// heavy is a connection that holds so many bytes.
type heavy struct {
	fuzzClient
	bytes  int
	closed string
}

func (h *heavy) Buffers() command.Buffers    { return command.Buffers{Sum: h.bytes} }
func (h *heavy) Close(_ bool, reason string) { h.closed = reason }
func (h *heavy) open(r *rig, id uint64) (s *client) {
	h.id, h.w = id, resp.NewWriter(nil)
	return &client{r.t, r.NewSession(h), h.w}
}

// TestClientsAreEvicted: those that hold most go first, until the rest is within the bound; who asked is spared.
func TestClientsAreEvicted(t *testing.T) {
	r := newRig(t)
	clients := []*heavy{{bytes: 100}, {bytes: 400}, {bytes: 300}, {bytes: 9000}}
	for i, h := range clients {
		c := h.open(r, uint64(i+1))
		defer c.s.Close()
		if i == 3 {
			c.want("OK", "CLIENT NO-EVICT ON")
		}
	}
	closed := func() (list string) {
		for _, h := range clients {
			list += h.closed + ";"
			h.closed = ""
		}
		return list
	}
	for _, step := range []struct{ maxmemory, bound, want string }{
		{"0", "0", ";;;;"},
		{"0", "800", ";;;;"},
		{"0", "700", ";maxmemory-clients;;;"},
		{"0", "350", ";;maxmemory-clients;;"},
		{"2000", "5%", ";;;;"},
		{"0", "5%", ";;;;"},
		{"1980", "5%", "maxmemory-clients;;;;"},
	} {
		r.main.want("OK", "CONFIG SET maxmemory "+step.maxmemory+" maxmemory-clients "+step.bound)
		r.Tick(time.Millisecond)
		if got := closed(); got != step.want {
			t.Errorf("bound %s of %s: closed %s, want %s", step.bound, step.maxmemory, got, step.want)
		}
	}
	if info := r.main.do("INFO stats"); !strings.Contains(info, "evicted_clients:3\r\n") {
		t.Error("evicted_clients is not 3")
	}
}
