package command

import (
	"slices"
	"strings"
	"sync/atomic"

	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/resp"
)

// Client-side caching: the session's half. What the client has read is remembered by the engine, which calls Invalidate
// when it is out of date. The message goes to the client as a push of RESP3, or to the connection that it named, which
// gets it as a push too or, with RESP2, as a message of a channel.

// tracking is a session's state of CLIENT TRACKING. It is made with the first ON and kept.
type tracking struct {
	owner   *Session
	tracker engine.Tracker

	// The owner's.
	optIn, optOut bool
	caching       bool // CLIENT CACHING came: the next command is the exception
	passed        bool // and that has begun, or any other but a CLIENT command

	// What committing goroutines read.
	redirect atomic.Pointer[Session] // nil: to the client itself
	broken   atomic.Bool             // that connection was gone when there was something to send
}

const invalidateChannel = "__redis__:invalidate"

func (t *tracking) on() bool { return t != nil && t.tracker.Mode() != 0 }

func (t *tracking) mode(m engine.TrackMode) bool { return t != nil && t.tracker.Mode()&m != 0 }

// redirected is the number of the connection that gets the messages, 0 for the client itself, -1 without tracking.
func (t *tracking) redirected() int64 {
	if !t.on() {
		return -1
	}
	if to := t.redirect.Load(); to != nil {
		return to.ID
	}
	return 0
}

// Invalidate implements engine.Invalidations.
func (t *tracking) Invalidate(keys [][]byte) {
	to, redirected := t.owner, false
	if other := t.redirect.Load(); other != nil {
		if other.gone.Load() {
			t.broken.Store(true)
			t.owner.client.Push(func(w *resp.Writer) {
				if w.Proto() > 2 {
					w.Push(2)
					w.BulkString("tracking-redir-broken")
					w.Int(other.ID)
				}
			})
			return
		}
		to, redirected = other, true
	}
	to.client.Push(func(w *resp.Writer) {
		switch {
		case w.Proto() > 2:
			w.Push(2)
			w.BulkString("invalidate")
		case redirected && to.subs.listens.Load():
			w.Array(3)
			w.BulkString("message")
			w.BulkString(invalidateChannel)
		default:
			return // RESP2 has no messages out of turn
		}
		if keys == nil {
			w.Null()
			return
		}
		w.Array(len(keys))
		for _, k := range keys {
			w.Bulk(k)
		}
	})
}

// trackTrim is how many keys a command of a tracking client forgets at the most, to keep the tables in bounds.
const trackTrim = 1000

// prepareTracking keeps the tables in bounds before a command, and lets the client hear first what it has to forget.
func (s *Session) prepareTracking() {
	s.p.Engine.TrimTracking(trackTrim)
	s.flushPushes()
}

// remember notes the keys that a command has read, while their shards are locked.
func (c *Ctx) remember() {
	t := c.Session.track
	if c.Row.Flags&(ReadOnly|PubSub) != ReadOnly || c.Row.ACL&CatScripting != 0 || t.optIn && !t.caching || t.optOut && t.caching {
		return
	}
	c.Row.eachKey(c.Args, func(i int, f KeyFlag) {
		if f&NotKey == 0 {
			c.Tx.Remember(&t.tracker, c.Args[i])
		}
	})
}

// beginCommand forgets CLIENT CACHING when the command, or transaction, that it was for is over. row may be nil.
func (t *tracking) beginCommand(row *Command) {
	if t.passed && t.owner.multi == nil {
		t.caching = false
	}
	t.passed = row == nil || !strings.HasPrefix(row.full, "client|")
}

// Track makes the session one that keeps copies of what it reads: to is told when they are out of date. It is for an
// embedded store's cache; connections use CLIENT TRACKING.
func (s *Session) Track(to engine.Invalidations, mode engine.TrackMode, prefixes ...string) {
	if s.track == nil {
		s.track = &tracking{owner: s}
	}
	s.p.Engine.Track(&s.track.tracker, to, mode, prefixes...)
	s.tx.By = &s.track.tracker
}

// Untrack ends Track and CLIENT TRACKING.
func (s *Session) Untrack() {
	t := s.track
	if t == nil {
		return
	}
	s.p.Engine.Untrack(&t.tracker)
	s.tx.By = nil
	t.optIn, t.optOut, t.caching = false, false, false
	t.redirect.Store(nil)
	t.broken.Store(false)
}

// trackOptions are the words of CLIENT TRACKING.
type trackOptions struct {
	redirect      *Session
	mode          engine.TrackMode
	optIn, optOut bool
	prefixes      []string
}

func clientTracking(c *Ctx) {
	s := c.Session
	o, err := c.trackOptions()
	switch {
	case err != nil:
	case c.Is(2, "ON") && s.client == nil:
		err = engine.Error("ERR CLIENT TRACKING needs a connection")
	case c.Is(2, "ON"):
		if err = s.track.accepts(&o); err == nil {
			s.startTracking(&o)
		}
	case c.Is(2, "OFF"):
		s.Untrack()
	default:
		err = errSyntax
	}
	if err != nil {
		c.Fail(err)
		return
	}
	c.OK()
}

func (c *Ctx) trackOptions() (o trackOptions, err error) {
	for i := 3; i < len(c.Args); i++ {
		more := i+1 < len(c.Args)
		switch {
		case c.Is(i, "REDIRECT") && more:
			i++
			if o.redirect != nil {
				return o, engine.Error("ERR A client can only redirect to a single other client")
			}
			id, err := c.IntArg(i)
			if err != nil {
				return o, err
			}
			if o.redirect = c.session(id); o.redirect == nil {
				return o, engine.Error("ERR The client ID you want redirect to does not exist")
			}
		case c.Is(i, "BCAST"):
			o.mode |= engine.TrackBroadcast
		case c.Is(i, "OPTIN"):
			o.optIn = true
		case c.Is(i, "OPTOUT"):
			o.optOut = true
		case c.Is(i, "NOLOOP"):
			o.mode |= engine.TrackNoLoop
		case c.Is(i, "PREFIX") && more:
			i++
			o.prefixes = append(o.prefixes, string(c.Args[i]))
		default:
			return o, errSyntax
		}
	}
	return o, nil
}

// accepts tells whether the options go together, and with what the client has asked for before.
func (t *tracking) accepts(o *trackOptions) error {
	broadcast := o.mode&engine.TrackBroadcast != 0
	switch {
	case !broadcast && len(o.prefixes) > 0:
		return engine.Error("ERR PREFIX option requires BCAST mode to be enabled")
	case t.on() && t.mode(engine.TrackBroadcast) != broadcast:
		return engine.Error("ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode.")
	case broadcast && (o.optIn || o.optOut):
		return engine.Error("ERR OPTIN and OPTOUT are not compatible with BCAST")
	case o.optIn && o.optOut:
		return engine.Error("ERR You can't specify both OPTIN mode and OPTOUT mode")
	case t != nil && (o.optIn && t.optOut || o.optOut && t.optIn):
		return engine.Error("ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode.")
	}
	var had []string
	if t != nil {
		had = t.tracker.Prefixes()
	}
	return collide(had, o.prefixes)
}

// exactCollisions is up to how many prefixes a refusal names the pair that Redis would name: finding it costs the square.
const exactCollisions = 1000

// collide refuses prefixes of which one is the beginning of another: the client would hear twice of a key.
func collide(had, added []string) error {
	refuse := func(p, kind, q string) error {
		return engine.Error("ERR Prefix '" + clip(p, len(p)) + "' overlaps with " + kind + " prefix '" + clip(q, len(q)) +
			"'. Prefixes for a single client must not overlap.")
	}
	sorted := slices.Sorted(slices.Values(slices.Concat(had, added)))
	overlap := 0
	for overlap+1 < len(sorted) && !strings.HasPrefix(sorted[overlap+1], sorted[overlap]) { // what overlaps anything overlaps its neighbour
		overlap++
	}
	switch {
	case len(added) == 0, overlap+1 >= len(sorted):
		return nil
	case len(sorted) > exactCollisions:
		return refuse(sorted[overlap+1], "an existing", sorted[overlap])
	}
	for i, p := range added {
		overlaps := func(q string) bool { return strings.HasPrefix(p, q) || strings.HasPrefix(q, p) }
		if at := slices.IndexFunc(had, overlaps); at >= 0 {
			return refuse(p, "an existing", had[at])
		}
		if at := slices.IndexFunc(added[i+1:], overlaps); at >= 0 {
			return refuse(p, "another provided", added[i+1+at])
		}
	}
	return nil // those that it has may overlap: the empty one, by BCAST without PREFIX
}

func (s *Session) startTracking(o *trackOptions) {
	if s.track == nil {
		s.track = &tracking{owner: s}
	}
	t := s.track
	t.redirect.Store(o.redirect)
	t.broken.Store(false)
	t.optIn, t.optOut = o.optIn, o.optOut
	if o.mode&engine.TrackBroadcast != 0 && len(o.prefixes) == 0 {
		o.prefixes = []string{""}
	}
	s.Track(t, o.mode, o.prefixes...)
}

func clientCaching(c *Ctx) {
	t := c.Session.track
	switch {
	case !t.on():
		c.FailText("ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled")
	case c.Is(2, "YES") && !t.optIn:
		c.FailText("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
	case c.Is(2, "NO") && !t.optOut:
		c.FailText("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
	case c.Is(2, "YES"), c.Is(2, "NO"):
		t.caching = true
		c.OK()
	default:
		c.Fail(errSyntax)
	}
}

func clientGetRedir(c *Ctx) { c.Out.Int(c.Session.track.redirected()) }

func clientTrackingInfo(c *Ctx) {
	t := c.Session.track
	var flags, prefixes []string
	if !t.on() {
		flags = []string{"off"}
	} else {
		flags, prefixes = t.flags(), t.tracker.Prefixes()
	}
	c.Out.Map(3)
	c.Out.BulkString("flags")
	c.Out.Set(len(flags))
	for _, f := range flags {
		c.Out.BulkString(f)
	}
	c.Out.BulkString("redirect")
	c.Out.Int(t.redirected())
	c.Out.BulkString("prefixes")
	c.Out.Array(len(prefixes))
	for _, p := range prefixes {
		c.Out.BulkString(p)
	}
}

// flags are the words of CLIENT TRACKINGINFO.
func (t *tracking) flags() (words []string) {
	for _, f := range [...]struct {
		on   bool
		word string
	}{
		{true, "on"}, {t.mode(engine.TrackBroadcast), "bcast"}, {t.optIn, "optin"}, {t.optIn && t.caching, "caching-yes"},
		{t.optOut, "optout"}, {t.optOut && t.caching, "caching-no"}, {t.mode(engine.TrackNoLoop), "noloop"},
		{t.broken.Load(), "broken_redirect"},
	} {
		if f.on {
			words = append(words, f.word)
		}
	}
	return words
}
