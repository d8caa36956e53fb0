package doctor

import (
	"errors"
	"strings"
	"time"

	"github.com/larderdb/larder/store"
)

// ttlMost bounds TTLs, some of which are longer than a Duration.
const ttlMost = 100 * 365 * 24 * 3600 * 1000 // ms

// question is one command about each key of a page.
type question struct {
	from source
	cmd  func(key string) store.Cmd
	take func(k *key, r store.Reply) error
}

// questions are asked about every key. None of them counts as use of the key.
var questions = []question{
	{fromType, func(key string) store.Cmd { return store.Cmd{"TYPE", key} }, func(k *key, r store.Reply) error {
		word, err := r.Text()
		k.kind = kindOf(word)
		if word == "none" {
			k.kind = kinds
		}
		return err
	}},
	{fromTTL, func(key string) store.Cmd { return store.Cmd{"PTTL", key} }, func(k *key, r store.Reply) error {
		millis, err := r.Int64()
		switch k.ttl = -1; {
		case millis >= 0:
			k.ttl = time.Duration(min(millis, ttlMost)) * time.Millisecond
		case millis == -2:
			k.kind = kinds // gone
		}
		return err
	}},
	{fromUsage, func(key string) store.Cmd { return store.Cmd{"MEMORY", "USAGE", key} }, func(k *key, r store.Reply) (err error) {
		k.bytes, err = r.Int64()
		return err
	}},
	{fromFreq, func(key string) store.Cmd { return store.Cmd{"OBJECT", "FREQ", key} }, func(k *key, r store.Reply) (err error) {
		k.freq, err = r.Int64()
		return err
	}},
	{fromIdle, func(key string) store.Cmd { return store.Cmd{"OBJECT", "IDLETIME", key} }, func(k *key, r store.Reply) error {
		seconds, err := r.Int64()
		k.idle = time.Duration(seconds) * time.Second
		return err
	}},
}

// asked are the questions that this server answers: it counts accesses or remembers the last one, not both, or neither.
func (s *scan) asked(about *Server) (qs []question) {
	policy := about.text("maxmemory_policy")
	counts := strings.HasSuffix(policy, "-lfu")
	remembers := !counts && !strings.HasSuffix(policy, "-s3fifo") && !strings.HasSuffix(policy, "-wtinylfu")
	for _, q := range questions {
		if !s.deaf[q.from] && (q.from != fromFreq || counts) && (q.from != fromIdle || remembers) {
			qs = append(qs, q)
		}
	}
	switch {
	case remembers:
		s.miss(fromFreq, errors.New("the server counts accesses only with a maxmemory-policy of allkeys-lfu or volatile-lfu"))
	case counts:
		s.miss(fromIdle, errors.New("the server counts accesses (LFU) instead of remembering the last one"))
	default: // Larder's own: a count up to three, or in a sketch, is no rate
		s.miss(fromFreq, errors.New("under "+policy+" the server does not count all accesses; allkeys-lfu and volatile-lfu do"))
		s.miss(fromIdle, errors.New("under "+policy+" the server does not remember the last access"))
	}
	return qs
}

func (s *scan) miss(from source, why error) {
	if s.keys.Missing[from] == nil {
		s.keys.Missing[from] = why
	}
}
