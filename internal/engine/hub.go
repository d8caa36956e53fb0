package engine

import (
	"sync"
	"unsafe"

	"github.com/larderdb/larder/internal/glob"
)

// Subscriber receives published messages. Deliver is called with the hub
// locked for reading, from the publisher's goroutine: it must not block and must not call
// the hub. pattern is nil for a message to a channel that was subscribed by
// name. The slices are borrowed.
type Subscriber interface {
	Deliver(pattern, channel, payload []byte)
}

// Hub is publish and subscribe: channels by name and by glob pattern, and the
// sharded channels, which are a space of names of their own without patterns. It knows
// nothing of keys. The zero value is not usable; an Engine has one.
//
// Its lock is taken below those of shards: Publish may be called with shards
// locked, and nothing that runs under it takes a shard.
type Hub struct {
	mu       sync.RWMutex
	channels audience
	patterns audience
	sharded  audience
}

// audience is who listens to each name.
type audience map[string]map[Subscriber]struct{}

func (h *Hub) init() {
	h.channels, h.patterns, h.sharded = make(audience), make(audience), make(audience)
}

// Subscribe adds s to a channel. Twice is once.
func (h *Hub) Subscribe(s Subscriber, channel string) { h.add(h.channels, s, channel) }

// PSubscribe adds s to all channels that match a glob pattern, now and later.
func (h *Hub) PSubscribe(s Subscriber, pattern string) { h.add(h.patterns, s, pattern) }

// Unsubscribe takes s off a channel; no-op where it is not on it.
func (h *Hub) Unsubscribe(s Subscriber, channel string) { h.remove(h.channels, s, channel) }

// PUnsubscribe takes s off a pattern; no-op where it is not on it.
func (h *Hub) PUnsubscribe(s Subscriber, pattern string) { h.remove(h.patterns, s, pattern) }

// SSubscribe adds s to a sharded channel. Twice is once.
func (h *Hub) SSubscribe(s Subscriber, channel string) { h.add(h.sharded, s, channel) }

// SUnsubscribe takes s off a sharded channel; no-op where it is not on it.
func (h *Hub) SUnsubscribe(s Subscriber, channel string) { h.remove(h.sharded, s, channel) }

func (h *Hub) add(in audience, s Subscriber, name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	set := in[name]
	if set == nil {
		set = make(map[Subscriber]struct{})
		in[name] = set
	}
	set[s] = struct{}{}
}

func (h *Hub) remove(in audience, s Subscriber, name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	set := in[name]
	delete(set, s)
	if len(set) == 0 {
		delete(in, name)
	}
}

// Each shows every subscription. fn must not block nor call the hub. Cost: O(subscriptions).
func (h *Hub) Each(fn func(s Subscriber, name string, pattern bool)) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for i, in := range [...]audience{h.patterns, h.channels, h.sharded} {
		for name, set := range in {
			for s := range set {
				fn(s, name, i == 0)
			}
		}
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
		pattern := unsafe.Slice(unsafe.StringData(p), len(p)) // nobody writes to it
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

// SPublish delivers a message to a sharded channel and returns how many got it.
// Cost: O(subscribers of the channel).
func (h *Hub) SPublish(channel, payload []byte) int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	set := h.sharded[string(channel)]
	for s := range set {
		s.Deliver(nil, channel, payload)
	}
	return len(set)
}

// Channels visits the channels that have a subscriber by name and match the
// pattern; nil matches all.
func (h *Hub) Channels(pattern []byte, fn func(channel string)) { h.visit(h.channels, pattern, fn) }

// ShardChannels is Channels for the sharded channels.
func (h *Hub) ShardChannels(pattern []byte, fn func(channel string)) { h.visit(h.sharded, pattern, fn) }

func (h *Hub) visit(in audience, pattern []byte, fn func(channel string)) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for c := range in {
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

// ShardSubscribers is the number of subscribers of a sharded channel.
func (h *Hub) ShardSubscribers(channel string) int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.sharded[channel])
}

// Counts are the numbers of channels, of patterns and of sharded channels that have a subscriber.
func (h *Hub) Counts() (channels, patterns, sharded int) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.channels), len(h.patterns), len(h.sharded)
}
