package httpcache

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/larderdb/larder/store"
)

// mostGroups is how many invalidated groups the store remembers; beyond that everything is purged once and it starts
// again.
const mostGroups = 1 << 16

// eras is how many there are: as many as have 15 digits at most.
const eras = 999_999_999_999_999

// lastingTTL is for how long the generations live after their last change or renewal: longer than any entry.
func (c *Cache) lastingTTL() time.Duration { return 2*c.MaxTTL + fillMost }

// generation reads the field "" of the generations; it begins them where they are missing, and renews their TTL now and
// then.
func (c *Cache) generation(ctx context.Context, r store.Reply) (generations, error) {
	text, found, err := r.Lookup()
	if err != nil {
		return generations{}, err
	}
	if now := c.Clock.Now(); !found || c.groups.due(now, c.MaxTTL) {
		if text, err = c.advance(ctx, opening); err != nil {
			return generations{}, err
		}
		c.groups.renewed(now)
	}
	return parseGenerations(text)
}

func (c *Cache) advance(ctx context.Context, mode string, groups ...string) (string, error) {
	era := strconv.FormatInt(1+rand.Int64N(eras), 10)
	args := append([]string{mode, millis(c.lastingTTL()), strconv.Itoa(mostGroups), era}, groups...)
	return c.st.Run(ctx, advanceScript, []string{c.gens}, args...).Text()
}

// groupTable is what this process knows of groups, as of one generation.
type groupTable struct {
	mu        sync.Mutex
	asOf, era uint64
	known     map[string][2]uint64 // hard, soft
	lastRenew time.Time
}

const mostKnown = 1 << 14 // groups remembered in this process

func (g *groupTable) due(now time.Time, every time.Duration) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return now.Sub(g.lastRenew) >= every/2
}

func (g *groupTable) renewed(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lastRenew = now
}

// find is the highest generations of groups; ok is false if one is not known as of gen.
func (g *groupTable) find(gen generations, names []string) (hardGen, softGen uint64, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.asOf != gen.seq || g.era != gen.era {
		return 0, 0, false
	}
	for _, name := range names {
		have, known := g.known[name]
		if !known {
			return 0, 0, false
		}
		hardGen, softGen = max(hardGen, have[0]), max(softGen, have[1])
	}
	return hardGen, softGen, true
}

func (g *groupTable) learn(gen generations, names []string, values [][2]uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if gen.era == g.era && gen.seq < g.asOf {
		return
	}
	if gen.era != g.era || gen.seq > g.asOf || g.known == nil || len(g.known)+len(names) > mostKnown {
		g.asOf, g.era, g.known = gen.seq, gen.era, map[string][2]uint64{}
	}
	for i, name := range names {
		g.known[name] = values[i]
	}
}

// groupGenerations are the highest generations at which any of the groups was purged, and purged softly.
func (c *Cache) groupGenerations(ctx context.Context, gen generations, names []string) (hardGen, softGen uint64, err error) {
	if hardGen, softGen, ok := c.groups.find(gen, names); ok {
		return hardGen, softGen, nil
	}
	reply := c.st.Do(ctx, slices.Concat([]string{"HMGET", c.gens, ""}, names)...)
	list, err := reply.Strings()
	if err != nil {
		return 0, 0, err
	}
	if len(list) != len(names)+1 {
		return 0, 0, store.ErrReply
	}
	now, err := parseGenerations(list[0])
	if err != nil {
		return 0, 0, err
	}
	values := make([][2]uint64, len(names))
	for i, text := range list[1:] {
		values[i][0], values[i][1] = parseGroup(text)
		hardGen, softGen = max(hardGen, values[i][0]), max(softGen, values[i][1])
	}
	c.groups.learn(now, names, values)
	return max(hardGen, now.all), max(softGen, now.stale), nil
}

// groupName is a group's field: a group belongs to an origin.
func groupName(host, group string) string { return host + "\n" + group }

// hints remember which URLs vary, and by what, so that the next lookup asks for the right variant at once; and which
// URLs lately gave responses that could not be stored, so that requests do not wait for each other in vain. They may be
// wrong: what counts is in the store.
type hints struct {
	mu     sync.RWMutex
	vary   map[string][]string
	inVain map[string]time.Time // until when
}

const mostHints = 1 << 13

func (h *hints) specs(base string) []string {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.vary[base]
}

func (h *hints) learn(base string, specs []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(specs) == 0 {
		delete(h.vary, base)
		return
	}
	if h.vary == nil || len(h.vary) >= mostHints {
		h.vary = map[string][]string{}
	}
	h.vary[base] = slices.Clone(specs) // not the whole value they were read from
	for i, s := range h.vary[base] {
		h.vary[base][i] = string([]byte(s))
	}
}

// add is learn for a spec that was just stored.
func (h *hints) add(base, spec string) { h.learn(base, addSpec(h.specs(base), spec)) }

const inVainFor = 10 * time.Second

// unstorable notes that a URL's response could not be stored.
func (h *hints) unstorable(base string, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.inVain == nil || len(h.inVain) >= mostHints {
		h.inVain = map[string]time.Time{}
	}
	h.inVain[base] = now.Add(inVainFor)
}

func (h *hints) storable(base string) {
	h.mu.RLock()
	_, noted := h.inVain[base]
	h.mu.RUnlock()
	if noted {
		h.mu.Lock()
		delete(h.inVain, base)
		h.mu.Unlock()
	}
}

// waitInVain tells whether waiting for another request's response is likely to bring nothing.
func (h *hints) waitInVain(base string, now time.Time) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	until, noted := h.inVain[base]
	return noted && now.Before(until)
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
