package engine

import (
	"sync"

	"github.com/larderdb/larder/internal/glob"
)

// Subscriber receives published messages. Deliver is called with the hub
// locked for reading, from the publisher's goroutine: it must not block and must not call
// the hub. pattern is nil for a message to a channel that was subscribed by
// name. The slices are borrowed.
type Subscriber interface {
	Deliver(pattern, channel, payload []byte)
}

// Hub is publish and subscribe: channels by name and by glob pattern. It knows
// nothing of keys. The zero value is not usable; an Engine has one.
type Hub struct {
	mu       sync.RWMutex
	channels map[string]map[Subscriber]struct{}
	patterns map[string]map[Subscriber]struct{}
}

func (h *Hub) init() {
	h.channels = make(map[string]map[Subscriber]struct{})
	h.patterns = make(map[string]map[Subscriber]struct{})
}

// Subscribe adds s to a channel. Twice is once.
func (h *Hub) Subscribe(s Subscriber, channel string) { h.add(h.channels, s, channel) }

// PSubscribe adds s to all channels that match a glob pattern, now and later.
func (h *Hub) PSubscribe(s Subscriber, pattern string) { h.add(h.patterns, s, pattern) }

// Unsubscribe takes s off a channel; no-op where it is not on it.
func (h *Hub) Unsubscribe(s Subscriber, channel string) { h.remove(h.channels, s, channel) }

// PUnsubscribe takes s off a pattern; no-op where it is not on it.
func (h *Hub) PUnsubscribe(s Subscriber, pattern string) { h.remove(h.patterns, s, pattern) }

func (h *Hub) add(in map[string]map[Subscriber]struct{}, s Subscriber, name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	set := in[name]
	if set == nil {
		set = make(map[Subscriber]struct{})
		in[name] = set
	}
	set[s] = struct{}{}
}

func (h *Hub) remove(in map[string]map[Subscriber]struct{}, s Subscriber, name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	set := in[name]
	delete(set, s)
	if len(set) == 0 {
		delete(in, name)
	}
}

// Publish delivers a message and returns how many got it: a subscriber once for
// the channel and once for each of its matching patterns.
// Cost: O(subscribers of the channel + patterns).
func (h *Hub) Publish(channel, payload []byte) int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	n := 0
	for s := range h.channels[string(channel)] {
		s.Deliver(nil, channel, payload)
		n++
	}
	for p, set := range h.patterns {
		pattern := []byte(p)
		if !glob.Match(pattern, channel, false) {
			continue
		}
		for s := range set {
			s.Deliver(pattern, channel, payload)
			n++
		}
	}
	return n
}

// Channels visits the channels that have a subscriber by name and match the
// pattern; nil matches all.
func (h *Hub) Channels(pattern []byte, fn func(channel string)) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for c := range h.channels {
		if pattern == nil || glob.Match(pattern, []byte(c), false) {
			fn(c)
		}
	}
}

// Subscribers is the number of subscribers of a channel by name.
func (h *Hub) Subscribers(channel string) int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.channels[channel])
}

// Counts are the numbers of channels and of patterns that have a subscriber.
func (h *Hub) Counts() (channels, patterns int) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.channels), len(h.patterns)
}
