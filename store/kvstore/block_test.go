package kvstore_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder"
	"github.com/larderdb/larder/internal/redistest"
	"github.com/larderdb/larder/rest"
	"github.com/larderdb/larder/store"
	"github.com/larderdb/larder/store/kvstore"
)

// served is an embedded store and a client of its REST API.
func served(t testing.TB, o kvstore.Options) (*larder.DB, *kvstore.Store) {
	t.Helper()
	db, err := larder.Open(larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := rest.Handler(db, rest.Options{Token: "token"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(func() { _ = h.Close(); server.Close(); _ = db.Close() })
	cfg, err := store.ParseURL("http://token@" + server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	st, err := kvstore.Open(cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return db, st
}

// Commands that block answer what they answer where a server waits.
func TestPollingAnswersAsBlockingDoes(t *testing.T) {
	db, st := served(t, kvstore.Options{Poll: time.Millisecond})
	fill := []string{"RPUSH l a b c", "RPUSH m d", "ZADD z 1 a 2.5 b", "SET s x", "XADD x 1-1 f v", "XADD x 2-1 g w", "XGROUP CREATE x group 0", "XGROUP CREATE empty group $ MKSTREAM"}
	for _, line := range []string{
		"BLPOP l 0", "BRPOP none l m 1", "blpop none 0.001", "BLPOP s 0", "BLPOP l -1", "BLPOP l x", "BLPOP l inf", "BLPOP l", "BLPOP",
		"BLMOVE l m LEFT RIGHT 0", "BLMOVE none m LEFT RIGHT 0.001", "BLMOVE l m LEFT 0", "BLMOVE l m UP RIGHT 0", "BRPOPLPUSH l m 0", "BRPOPLPUSH l 0",
		"BLMPOP 0 2 none l LEFT COUNT 2", "BLMPOP 0.001 1 none LEFT", "BLMPOP 0 0 l LEFT", "BLMPOP", "BZMPOP 0 1 z MAX", "BZMPOP 0.001 1 none MIN",
		"BZPOPMIN z 0", "BZPOPMAX none z 0", "BZPOPMIN none 0.001", "BZPOPMIN l 0",
		"XREAD BLOCK 0 STREAMS x 0", "XREAD COUNT 1 BLOCK 5 STREAMS x empty 1-1 0", "XREAD BLOCK 1 STREAMS x $", "XREAD BLOCK 1 STREAMS none x $ $", "XREAD BLOCK 1 STREAMS x 5",
		"XREAD BLOCK -1 STREAMS x 0", "XREAD BLOCK x STREAMS x 0", "XREAD BLOCK 1", "XREAD BLOCK 1 STREAMS l $",
		"XREADGROUP GROUP group c BLOCK 0 STREAMS x >", "XREADGROUP GROUP group c BLOCK 1 NOACK STREAMS empty >", "XREADGROUP GROUP block streams BLOCK 1 STREAMS x >",
		"XREADGROUP GROUP group c BLOCK 1 STREAMS x 0",
	} {
		var got [2]string
		for i, s := range []store.Store{db, st} {
			if err := db.Do(t.Context(), "FLUSHALL").Err(); err != nil {
				t.Fatal(err)
			}
			for _, f := range fill {
				if err := db.Do(t.Context(), strings.Fields(f)...).Err(); err != nil {
					t.Fatal(f, err)
				}
			}
			got[i] = resp2(s.Do(t.Context(), strings.Fields(line)...))
		}
		if got[0] != got[1] {
			t.Errorf("%s: %s\nwhere it blocks: %s", line, got[1], got[0])
		}
	}
}

// do runs a command in the background.
func do(ctx context.Context, st store.Store, words ...string) <-chan error {
	end := make(chan error, 1)
	go func() { end <- st.Do(ctx, words...).Err() }()
	return end
}

// resp2 shows a reply in the shape that it has over REST.
func resp2(r store.Reply) string {
	switch r.Kind() {
	case store.KindMap: // XREAD's
		list, _ := r.Array() //nolint:errcheck // it is one
		text := ""
		for i := 0; i < len(list); i += 2 {
			text += "[" + resp2(list[i]) + " " + resp2(list[i+1]) + "] "
		}
		return "[" + strings.TrimSpace(text) + "]"
	case store.KindArray:
		list, _ := r.Array() //nolint:errcheck // it is one
		var texts []string
		for _, e := range list {
			texts = append(texts, resp2(e))
		}
		return fmt.Sprint(texts)
	}
	if text, err := r.Text(); err == nil {
		return text
	}
	return r.String()
}

// Who waits gets what comes, and leaves when he wants to.
func TestPollingWaits(t *testing.T) {
	db, st := served(t, kvstore.Options{Poll: 5 * time.Millisecond})
	waiting := make(map[string]chan string)
	for _, line := range []string{"BLPOP l 0", "BZPOPMIN z 0", "XREAD BLOCK 0 STREAMS x $"} {
		got := make(chan string, 1)
		waiting[strings.Fields(line)[0]] = got
		go func() { got <- resp2(st.Do(t.Context(), strings.Fields(line)...)) }()
	}
	for _, line := range []string{"RPUSH l a", "ZADD z 1 a"} {
		if err := db.Do(t.Context(), strings.Fields(line)...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"BLPOP": "[l a]", "BZPOPMIN": "[z a 1]"} {
		if text := <-waiting[name]; text != want {
			t.Errorf("%s: %s", name, text)
		}
	}
	redistest.Eventually(t, "XREAD to see an entry", func() bool { // "$" may be the last one that was added
		if err := db.Do(t.Context(), "XADD", "x", "*", "f", "v").Err(); err != nil {
			t.Fatal(err)
		}
		select {
		case text := <-waiting["XREAD"]:
			if !strings.Contains(text, "[f v]") {
				t.Errorf("XREAD: %s", text)
			}
			return true
		default:
			return false
		}
	})
	ctx, leave := context.WithCancel(t.Context())
	end := do(ctx, st, "BLPOP", "l", "0")
	leave()
	if err := <-end; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := st.Do(ctx, "BLPOP", "l", "0").Err(); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	end = do(t.Context(), st, "BLPOP", "l", "0")
	_ = st.Close()
	if err := <-end; !errors.Is(err, store.ErrClosed) {
		t.Error(err)
	}
}

// What REST cannot do says so, and what to do instead.
func TestWhatRESTCannotDo(t *testing.T) {
	_, st := served(t, kvstore.Options{Poll: -1})
	for line, text := range map[string]string{
		"BLPOP l 0": "Options.Poll", "XREAD BLOCK 0 STREAMS x $": "Options.Poll", "WAIT 1 0": "ask without waiting",
		"WATCH k": "use a Script", "MULTI": "use a Script", "SELECT 1": "state of a connection", "SUBSCRIBE c": "Subscribe", "SPUBLISH c x": "use PUBLISH",
		"CLIENT TRACKING ON": "state of a connection",
	} {
		words := strings.Fields(line)
		for _, err := range []error{st.Do(t.Context(), words...).Err(), st.Pipe(t.Context(), words)[0].Err()} {
			if !errors.Is(err, store.ErrUnsupported) || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), words[0]) {
				t.Errorf("%s: %v", line, err)
			}
		}
		if _, err := st.Transaction(t.Context(), words); !errors.Is(err, store.ErrUnsupported) {
			t.Errorf("%s in a transaction: %v", line, err)
		}
	}
	if err := st.Do(t.Context()).Err(); !errors.Is(err, store.ErrInvalid) {
		t.Error(err)
	}
	_, polls := served(t, kvstore.Options{})
	if err := polls.Do(t.Context(), "WAIT", "1", "0").Err(); !errors.Is(err, store.ErrUnsupported) || !strings.Contains(err.Error(), "leave it out") {
		t.Error(err)
	}
	if err := polls.Pipe(t.Context(), store.Cmd{"BLPOP", "l", "0"})[0].Err(); !errors.Is(err, store.ErrUnsupported) || !strings.Contains(err.Error(), "by Do") {
		t.Error(err)
	}
}
