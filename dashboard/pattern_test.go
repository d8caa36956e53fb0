package dashboard_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/larderdb/larder/cache"
	"github.com/larderdb/larder/dashboard"
	"github.com/larderdb/larder/internal/fleet"
	"github.com/larderdb/larder/leaderboard"
	"github.com/larderdb/larder/lock"
	"github.com/larderdb/larder/queue"
	"github.com/larderdb/larder/ratelimit"
	"github.com/larderdb/larder/session"
	"github.com/larderdb/larder/store"
)

// each runs a test on all kinds of stores but a Cluster, whose SCAN is that of one of its servers.
func each(t *testing.T, test func(t *testing.T, st store.Store)) {
	t.Helper()
	fleet.EachBut(t, fleet.Cluster, func(t *testing.T, s *fleet.Store) { test(t, s.Open(t)) })
}

// patience is how long a store may take on a busy machine: what patterns do without one is not what is tested here.
const patience = 20 * time.Second

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type queueAnswer struct {
	Prefix, Name  blob
	Depth, Totals map[string]int64
	Paused        bool
	Workers       int64
}

type jobsAnswer struct {
	Queue queueAnswer
	Jobs  []struct {
		ID                          string
		At, Due, Attempts, Max      int64
		Priority                    int
		Key, Unique, Payload, Error blob
		Output                      blob
	}
}

// What the dashboard tells of a queue is what the queue tells of itself, and what it does to it is what the queue does.
func TestQueues(t *testing.T) {
	each(t, func(t *testing.T, st store.Store) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		jobs, err := queue.New[string](st, queue.Options{Name: "a" + hostile, Prefix: "my" + queue.DefaultPrefix, MaxAttempts: 1, Retention: time.Hour})
		must(t, err)
		for i := range 6 {
			_, err := jobs.Enqueue(ctx, fmt.Sprint("job ", i, hostile), queue.Key(fmt.Sprint("key", i)), queue.Unique(fmt.Sprint("u", i), time.Hour))
			must(t, err)
		}
		n := 0
		must(t, jobs.Work(ctx, queue.Workers{Concurrency: 1}, func(_ context.Context, job *queue.Job[string]) error {
			if n++; n == 6 {
				stop()
			}
			if n%2 == 0 {
				return errors.New("failed" + hostile)
			}
			return job.SetResult("fine")
		}))
		ctx = t.Context()
		due := time.Now().Add(time.Hour)
		_, err = jobs.Enqueue(ctx, "later", queue.At(due))
		must(t, err)
		do(t, st, "HSET", "other{x}:meta", "id", "") // looks like a queue, and is none
		do(t, st, "HSET", "another{x}:meta", "id", "1")
		do(t, st, "SET", "another{x}:ready", "no sorted set")

		d := board(t, st, dashboard.Options{Writable: true, Queue: func(prefix, name string) (dashboard.Queue, error) {
			return queue.New[string](st, queue.Options{Prefix: prefix, Name: name})
		}})
		list := get[struct{ Queues []queueAnswer }](t, d, "api/queues").Queues
		if len(list) != 1 || list[0].Name.text != "a"+hostile || list[0].Prefix.text != "myqueue:" {
			t.Fatalf("%+v", list)
		}
		have, err := jobs.Depth(ctx)
		must(t, err)
		q := list[0]
		if q.Depth["dead"] != have.Dead || q.Depth["done"] != have.Done || q.Depth["delayed"] != 1 || q.Depth["ready"] != have.Ready || q.Totals["failed"] != have.TotalFailed || q.Totals["done"] != have.TotalDone || have.Dead != 3 {
			t.Errorf("%+v, want %+v", q, have)
		}
		path := "api/queue?prefix=" + b64("myqueue:") + "&name=" + b64("a"+hostile) + "&state="
		dead := get[jobsAnswer](t, d, path+"dead").Jobs
		infos, err := jobs.List(ctx, queue.DeadLetter, 0, 10)
		must(t, err)
		if len(dead) != 3 || len(infos) != 3 {
			t.Fatalf("%+v", dead)
		}
		for i, j := range dead {
			want := infos[i]
			var payload string
			must(t, json.Unmarshal([]byte(`"`+strings.ReplaceAll(j.Payload.text, `"`, `\"`)+`"`), &payload))
			if j.ID != want.ID || payload != want.Payload || j.Error.text != want.Error || j.Key.text != want.Key || j.Unique.text != want.Unique || j.Attempts != 1 || j.Max != 1 ||
				j.At != want.Enqueued.UnixMilli() || j.Due != want.Due.UnixMilli() || j.Priority != int(queue.Highest-want.Priority) {
				t.Errorf("%+v, want %+v", j, want)
			}
		}
		if l := get[jobsAnswer](t, d, path+"delayed").Jobs; len(l) != 1 || l[0].Due < due.UnixMilli() || l[0].Due > due.UnixMilli()+1 || l[0].Payload.text != "later" {
			t.Errorf("%+v", l)
		}
		if l := get[jobsAnswer](t, d, path+"done").Jobs; len(l) != 3 || l[0].Output.text != "fine" {
			t.Errorf("%+v", l)
		}
		if l := get[jobsAnswer](t, d, path+"dead&from=2").Jobs; len(l) != 1 || l[0].ID != dead[2].ID {
			t.Errorf("%+v", l)
		}
		act := func(what string) string {
			w := change(t, d, "api/queue/act", fmt.Sprintf(`{"prefix":%q,"name":%q,%s}`, b64("myqueue:"), b64("a"+hostile), what))
			if w.Code != 200 {
				t.Errorf("%s: %d %s", what, w.Code, w.Body)
			}
			return w.Body.String()
		}
		delayed := get[jobsAnswer](t, d, path+"delayed").Jobs[0].ID
		for what, want := range map[string]string{
			`"act":"replay","ids":["` + dead[0].ID + `"]`: `{"count":1}`, `"act":"delete","ids":["` + dead[1].ID + `","` + delayed + `","0"]`: `{"count":1}`,
			`"act":"pause"`: `{"count":0}`,
		} {
			if got := act(what); got != want {
				t.Errorf("%s: %s", what, got)
			}
		}
		have, err = jobs.Depth(ctx)
		must(t, err)
		if have.Dead != 1 || have.Ready != 1 || have.Delayed != 1 || !have.Paused {
			t.Errorf("%+v", have)
		}
		act(`"act":"resume"`)
		if got := act(`"act":"delete"`); got != `{"count":1}` {
			t.Error(got)
		}
		if have, _ := jobs.Depth(ctx); have.Dead != 0 || have.Paused {
			t.Errorf("%+v", have)
		}
		if w := change(t, d, "api/queue/act", `{"prefix":"","name":"YQ","act":"explode"}`); w.Code != 400 {
			t.Error(w.Code)
		}
	})
}

func TestSessions(t *testing.T) {
	each(t, func(t *testing.T, st store.Store) {
		sessions, err := session.New(st, session.Options{Prefix: "my:"})
		must(t, err)
		var first *session.Session
		for _, user := range []string{"ann", "ann", hostile} {
			s := sessions.New()
			s.SetClient("Browser/1 "+hostile, "203.0.113.7")
			must(t, s.Login(user))
			must(t, sessions.Save(t.Context(), s))
			if first == nil {
				first = s
			}
		}
		do(t, st, "ZADD", "x{abc}user:y", "1", "z") // looks like a list of sessions, and is none
		d := board(t, st, dashboard.Options{Writable: true, Sessions: func(prefix string) (dashboard.Sessions, error) {
			return session.New(st, session.Options{Prefix: prefix})
		}})
		type userAnswer struct {
			Key, User blob
			Sessions  int64
		}
		keys := map[string]string{}
		for _, u := range get[struct{ Users []userAnswer }](t, d, "api/users").Users {
			keys[u.User.text] = u.Key.text
		}
		if len(keys) != 2 || keys[hostile] == "" {
			t.Fatal(keys)
		}
		type sessionAnswer struct {
			ID, Agent, Addr, Key blob
			Created, Ends        int64
		}
		list := func() []sessionAnswer {
			return get[struct{ Sessions []sessionAnswer }](t, d, "api/sessions?key="+b64(keys["ann"])).Sessions
		}
		want, err := sessions.List(t.Context(), "ann")
		must(t, err)
		have := list()
		if len(have) != 2 || have[0].Agent.text != "Browser/1 "+hostile || have[0].Addr.text != "203.0.113.7" || have[0].Ends < time.Now().UnixMilli() {
			t.Fatalf("%+v", have)
		}
		for _, s := range have {
			if s.ID.text != want[0].ID && s.ID.text != want[1].ID {
				t.Error("an id that the package does not know: ", s.ID.text)
			}
		}
		if body := answer(d, request("GET", "api/sessions?key="+b64(keys["ann"]), "")).Body.String(); strings.Contains(body, first.Token()) {
			t.Error("the page shows a token")
		}
		if w := change(t, d, "api/sessions/revoke", fmt.Sprintf(`{"key":%q,"id":%q}`, b64(keys["ann"]), first.ID())); w.Body.String() != `{"count":1}` {
			t.Error(w.Body)
		}
		if have := list(); len(have) != 1 || have[0].ID.text == first.ID() {
			t.Errorf("%+v", have)
		}
		if w := change(t, d, "api/sessions/revoke", fmt.Sprintf(`{"key":%q}`, b64(keys["ann"]))); w.Body.String() != `{"count":1}` {
			t.Error(w.Body)
		}
		if left, _ := sessions.List(t.Context(), "ann"); len(left) != 0 {
			t.Error(left)
		}
		if left, _ := sessions.List(t.Context(), hostile); len(left) != 1 {
			t.Error("somebody else was logged out")
		}
	})
}

func TestBoards(t *testing.T) {
	each(t, func(t *testing.T, st store.Store) {
		ctx := t.Context()
		high, err := leaderboard.New(st, leaderboard.Options{Name: "high", TTL: time.Hour, Data: true, Ranking: leaderboard.Dense})
		must(t, err)
		low, err := leaderboard.New(st, leaderboard.Options{Name: "low", Group: "race", TTL: leaderboard.NoTTL, LowestFirst: true, Ties: leaderboard.ByMember})
		must(t, err)
		for i := range 130 {
			for _, b := range []*leaderboard.Board{high, low} {
				_, err := b.Add(ctx, fmt.Sprintf("m%03d%s", i, hostile), int64(i*7%50+1))
				must(t, err)
			}
		}
		d := board(t, st, dashboard.Options{})
		type boardAnswer struct {
			Key, Name, Group          blob
			Members, TTL              int64
			Dense, Data, Ties, Lowest bool
		}
		list := map[string]boardAnswer{}
		for _, b := range get[struct{ Boards []boardAnswer }](t, d, "api/boards").Boards {
			list[b.Name.text] = b
		}
		h, l := list["high"], list["low"]
		if len(list) != 2 || !h.Dense || !h.Ties || h.Lowest || h.TTL < 1 || l.Group.text != "race" || l.Dense || l.Ties || !l.Lowest || l.TTL != -1 || h.Members != 130 {
			t.Errorf("%+v", list)
		}
		for b, key := range map[*leaderboard.Board]string{high: h.Key.text, low: l.Key.text} {
			top, err := b.Top(ctx, 130)
			must(t, err)
			for _, from := range []int{0, 100} {
				page := get[struct {
					Entries []struct {
						Rank   int
						Member blob
						Score  int64
					}
				}](t, d, fmt.Sprintf("api/board?key=%s&from=%d", b64(key), from)).Entries
				if len(page) != min(100, 130-from) {
					t.Fatal(len(page))
				}
				for i, e := range page {
					if want := top[from+i]; e.Member.text != want.Member || e.Score != want.Score || e.Rank != from+i+1 {
						t.Errorf("%s: %+v, want %+v", key, e, want)
					}
				}
			}
		}
	})
}

func TestLocks(t *testing.T) {
	each(t, func(t *testing.T, st store.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		one, err := lock.New(st, lock.Options{Owner: "one<b>", TTL: time.Minute})
		must(t, err)
		two, err := lock.New(st, lock.Options{Owner: "two", TTL: time.Minute})
		must(t, err)
		defer one.Close(context.Background()) //nolint:errcheck // what is left
		defer two.Close(context.Background()) //nolint:errcheck // likewise
		held, err := one.Try(ctx, hostile)
		must(t, err)
		sem := one.Semaphore("sem", 3)
		_, err = sem.Try(ctx)
		must(t, err)
		free, err := one.Try(ctx, "free")
		must(t, err)
		must(t, free.Release(ctx))
		waited := make(chan error, 1)
		go func() {
			_, err := two.Acquire(ctx, hostile)
			waited <- err
		}()
		fleet.Eventually(t, "a waiter", func() bool {
			s, err := one.Inspect(ctx, hostile)
			return err == nil && len(s.Waiters) == 1
		})
		do(t, st, "SET", "lock:{no lock}", "Lxxxxxxxxxxxx")
		d := board(t, st, dashboard.Options{})
		type lockAnswer struct {
			Key, Name, Holder             blob
			Kind                          string
			Token, Since, Shared, Waiters int64
			Left                          int64
			Free                          bool
		}
		list := map[string]lockAnswer{}
		for _, l := range get[struct{ Locks []lockAnswer }](t, d, "api/locks").Locks {
			list[l.Name.text] = l
		}
		h := list[hostile]
		if len(list) != 3 || h.Holder.text != "one<b>" || h.Token != held.Token() || h.Waiters != 1 || h.Free || h.Left < 1000 || list["sem"].Shared != 1 || list["sem"].Kind != "sem" || !list["free"].Free {
			t.Errorf("%+v", list)
		}
		type claims struct {
			Holders, Waiters []struct {
				Owner  blob
				Shared bool
				Token  int64
			}
		}
		c := get[claims](t, d, "api/lock?key="+b64(h.Key.text))
		if len(c.Holders) != 1 || len(c.Waiters) != 1 || c.Waiters[0].Owner.text != "two" || c.Holders[0].Token != held.Token() {
			t.Errorf("%+v", c)
		}
		if c := get[claims](t, d, "api/lock?key="+b64(list["sem"].Key.text)); len(c.Holders) != 1 || !c.Holders[0].Shared || c.Holders[0].Owner.text != "one<b>" {
			t.Errorf("%+v", c)
		}
		cancel()
		<-waited
	})
}

func TestLimits(t *testing.T) {
	each(t, func(t *testing.T, st store.Store) {
		ctx := t.Context()
		logs, err := ratelimit.New(st, ratelimit.Options{Limit: 5, Window: time.Hour, Timeout: patience})
		must(t, err)
		for range 7 {
			_, err := logs.Allow(ctx, "greedy"+hostile)
			must(t, err)
		}
		_, err = logs.Allow(ctx, "modest")
		must(t, err)
		must(t, logs.Block(ctx, "blocked", time.Hour))
		kinds := map[ratelimit.Algorithm]string{ratelimit.TokenBucket: "bucket", ratelimit.GCRA: "gcra", ratelimit.FixedWindow: "window", ratelimit.SlidingCounter: "counter"}
		for algorithm, kind := range kinds {
			meter, err := ratelimit.New(st, ratelimit.Options{Algorithm: algorithm, Limit: 1000, Window: 24 * time.Hour, Timeout: patience, Prefix: "own:" + kind + ":"})
			must(t, err)
			for range 3 {
				_, err := meter.Allow(ctx, "id")
				must(t, err)
			}
		}
		leases, err := ratelimit.NewConcurrency(st, ratelimit.ConcurrencyOptions{Limit: 9, TTL: time.Hour, Timeout: patience})
		must(t, err)
		for range 4 {
			_, _, err := leases.Acquire(ctx, "id")
			must(t, err)
		}
		do(t, st, "SET", "rl:log:broken", "xx")
		do(t, st, "SET", "rl:meter:broken", strings.Repeat("y", 22))
		do(t, st, "SET", "own:text", "just some text")
		d := board(t, st, dashboard.Options{Limiters: []dashboard.Limiter{{Prefix: ratelimit.DefaultPrefix, Peek: func(ctx context.Context, id string) (dashboard.Standing, error) {
			r, err := logs.Peek(ctx, id)
			return dashboard.Standing{Limit: int64(r.Limit), Remaining: int64(r.Remaining), RetryAfter: r.RetryAfter}, err
		}}}})
		type limitAnswer struct {
			Key                 blob
			Kind                string
			Used, Minute        int64
			Blocked, Last, Free int64
			Standing            *struct{ Limit, Remaining, Retry int64 }
		}
		list := map[string]limitAnswer{}
		for _, path := range []string{"api/limits", "api/limits?match=own:*"} {
			for _, l := range get[struct{ Limits []limitAnswer }](t, d, path).Limits {
				list[l.Key.text] = l
			}
		}
		if len(list) != 8 {
			t.Errorf("%d limits: %+v", len(list), list)
		}
		g := list["rl:log:greedy"+hostile]
		if g.Kind != "log" || g.Used != 5 || g.Minute != 5 || g.Standing == nil || g.Standing.Limit != 5 || g.Standing.Remaining != 0 || g.Standing.Retry < 1000 || g.Last == 0 {
			t.Errorf("%+v %+v", g, g.Standing)
		}
		if m := list["rl:log:modest"]; m.Used != 1 || m.Standing == nil || m.Standing.Remaining != 4 {
			t.Errorf("%+v", m)
		}
		if b := list["rl:log:blocked"]; b.Blocked < time.Now().UnixMilli() {
			t.Errorf("%+v", b)
		}
		if l := list["rl:lease:id"]; l.Kind != "leases" || l.Used != 4 {
			t.Errorf("%+v", l)
		}
		for _, kind := range kinds {
			l := list["own:"+kind+":id"]
			if l.Kind != kind || kind != "gcra" && l.Used != 3 || kind == "gcra" && l.Free == 0 {
				t.Errorf("%s: %+v", kind, l)
			}
		}
	})
}

func TestCaches(t *testing.T) {
	each(t, func(t *testing.T, st store.Store) {
		prefix := "p*[x]" + hostile + ":"
		c, err := cache.New[string](st, cache.Options{Prefix: prefix, TTL: 2 * time.Hour, Timeout: patience, NegativeTTL: 30 * time.Second, Tags: func(string) []string { return []string{"t"} }})
		must(t, err)
		for i := range 20 {
			_, err := c.GetOrLoad(t.Context(), fmt.Sprint(i), func(context.Context) (string, error) {
				if i == 7 {
					return "", cache.ErrNotFound
				}
				return "value", nil
			})
			if err != nil && !errors.Is(err, cache.ErrNotFound) {
				t.Fatal(err)
			}
		}
		do(t, st, "SET", prefix+"foreign", "text")
		do(t, st, "RPUSH", prefix+"list", "x")
		d := board(t, st, dashboard.Options{})
		type cacheAnswer struct {
			Prefix                                    blob
			Entries, Absent, Tagged, Foreign, Loading int64
			TTL                                       []int64
		}
		list := get[struct{ Caches []cacheAnswer }](t, d, "api/caches").Caches
		if len(list) != 1 || list[0].Prefix.text != prefix {
			t.Fatalf("%+v", list)
		}
		e := get[struct{ Cache cacheAnswer }](t, d, "api/caches?prefix="+b64(prefix)).Cache
		if e.Entries != 20 || e.Absent != 1 || e.Foreign != 2 || e.Tagged < 19 || e.TTL[0] != 1 || e.TTL[2] != 19 {
			t.Errorf("%+v", e)
		}
	})
}
