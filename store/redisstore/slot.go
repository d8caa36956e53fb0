package redisstore

import (
	"fmt"
	"strings"

	"github.com/larderdb/larder/store"
)

// slots is how many slots a Cluster cuts its keys into.
const slots = 16384

// slotOf is the slot of a key: CRC-16/XMODEM of its hash tag, or of all of it where there is none.
func slotOf(key string) int {
	if _, tail, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(tail, "}"); ok && tag != "" {
			key = tag
		}
	}
	var crc uint16
	for i := range len(key) {
		crc ^= uint16(key[i]) << 8
		for range 8 {
			top := crc & 0x8000
			crc <<= 1
			if top != 0 {
				crc ^= 0x1021
			}
		}
	}
	return int(crc) % slots
}

// oneSlot refuses keys that a Cluster cannot serve together, before the server does, and says what to do.
func (s *Store) oneSlot(name string, keys []string) error {
	if s.cfg.Target != store.Cluster || len(keys) < 2 {
		return nil
	}
	first := slotOf(keys[0])
	for _, key := range keys[1:] {
		if slotOf(key) != first {
			return fmt.Errorf("redisstore: script %s: %w: keys %.64q and %.64q lie in different slots of the cluster: give them a common {hash tag}",
				name, store.ErrInvalid, keys[0], key)
		}
	}
	return nil
}
