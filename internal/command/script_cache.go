package command

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/larderdb/larder/internal/config"
	"github.com/larderdb/larder/internal/engine"
	"github.com/larderdb/larder/internal/script"
	"github.com/larderdb/larder/store"
)

// scripts are those that clients have loaded, and the two-body scripts that are known by the SHA-1 of their Lua text.
// Where both know a text, the Go body runs.
type scripts struct {
	lua      *script.Runtime
	seen     sync.Map // *store.Script: those that add was called with
	evicted  atomic.Int64
	clock    atomic.Int64 // counts uses, for eviction
	libs     libraries
	slow     slowScripts
	anything atomic.Bool // DEBUG SET-DISABLE-DENY-SCRIPTS

	mu      sync.RWMutex
	native  map[string]*store.Script // by SHA-1
	bySHA   map[string]*cachedScript
	byText  map[string]*cachedScript
	evicts  int // scripts that only EVAL has brought: they go, the least recently used first, when there are many
	inBytes int
}

// cachedScript is a script that clients have loaded. It never changes but for its use.
type cachedScript struct {
	sha, text string
	flags     scriptFlags
	chunk     *script.Chunk
	native    *store.Script // instead of chunk
	kept      bool          // by SCRIPT LOAD: never evicted
	used      atomic.Int64
}

// maxEvaluated is how many scripts are kept that were never loaded: who makes a new text for each call of EVAL must not
// fill the memory with them.
const maxEvaluated = 500

// entrySize is about what a cached script takes besides its text, in bytes.
const entrySize = 400

func (s *scripts) add(sc *store.Script) {
	sha := sc.SHA()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.native == nil {
		s.native = make(map[string]*store.Script)
	}
	s.native[sha] = sc
	if e := s.bySHA[sha]; e != nil && e.native != sc {
		s.put(&cachedScript{sha: sha, text: e.text, native: sc, kept: e.kept})
	}
}

// ensure is add for a script that most likely is known.
func (s *scripts) ensure(sc *store.Script) {
	if _, ok := s.seen.Load(sc); !ok {
		s.add(sc)
		s.seen.Store(sc, true)
	}
}

// find finds a script by its SHA-1 in hexadecimal, of any case; a client must have loaded it before, as on Redis.
func (s *scripts) find(hexSum []byte) *cachedScript {
	var buf [2 * sha1.Size]byte
	if len(hexSum) != len(buf) {
		return nil
	}
	s.mu.RLock()
	e := s.bySHA[string(lowerHex(buf[:0], hexSum))]
	s.mu.RUnlock()
	return e
}

func lowerHex(dst, b []byte) []byte {
	for _, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}

// ofText finds a script by its text.
func (s *scripts) ofText(text []byte) *cachedScript {
	s.mu.RLock()
	e := s.byText[string(text)]
	s.mu.RUnlock()
	return e
}

// load makes a script of a text, or finds it. keep says that it shall stay until a flush.
func (s *scripts) load(text []byte, keep bool) (*cachedScript, error) {
	if e := s.ofText(text); e != nil && (e.kept || !keep) {
		return e, nil
	}
	sum := sha1.Sum(text)
	e := &cachedScript{sha: hex.EncodeToString(sum[:]), text: string(text), kept: keep}
	s.mu.RLock()
	e.native = s.native[e.sha]
	s.mu.RUnlock()
	if e.native == nil {
		code, flags, err := shebang(e.text)
		if err != nil {
			return nil, err
		}
		e.flags = flags
		if e.chunk, err = s.lua.Compile(code, "user_script"); err != nil {
			return nil, errors.New("Error compiling script (new function): " + err.Error())
		}
	}
	e.used.Store(s.clock.Add(1))
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.bySHA[e.sha]; old != nil && (old.kept || !keep) {
		return old, nil // somebody was faster
	}
	s.put(e)
	return e, nil
}

// put adds a script, or replaces it. The mutex is held.
func (s *scripts) put(e *cachedScript) {
	if s.bySHA == nil {
		s.bySHA, s.byText = make(map[string]*cachedScript), make(map[string]*cachedScript)
	}
	s.remove(s.bySHA[e.sha])
	if !e.kept && e.native == nil {
		if s.evicts >= maxEvaluated {
			s.evict()
		}
		s.evicts++
	}
	s.bySHA[e.sha], s.byText[e.text] = e, e
	s.inBytes += len(e.text) + entrySize
}

func (s *scripts) remove(e *cachedScript) {
	if e == nil {
		return
	}
	if !e.kept && e.native == nil {
		s.evicts--
	}
	delete(s.bySHA, e.sha)
	delete(s.byText, e.text)
	s.inBytes -= len(e.text) + entrySize
}

// evict forgets the script that nobody has used for longest. Cost: O(scripts), a few microseconds.
func (s *scripts) evict() {
	var oldest *cachedScript
	for _, e := range s.bySHA {
		if !e.kept && e.native == nil && (oldest == nil || e.used.Load() < oldest.used.Load()) {
			oldest = e
		}
	}
	s.remove(oldest)
	s.evicted.Add(1)
}

// size is the number of scripts that are loaded, and the bytes that they take.
func (s *scripts) size() (n, bytes int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.bySHA), s.inBytes
}

// flush forgets what clients have loaded.
func (s *scripts) flush() {
	s.mu.Lock()
	s.bySHA, s.byText, s.evicts, s.inBytes = nil, nil, 0, 0
	s.mu.Unlock()
	s.lua.Flush()
}

// scriptFlags are what a script declares of itself.
type scriptFlags uint8

const (
	flagNoWrites scriptFlags = 1 << iota
	flagAllowOOM
	flagAllowStale
	flagNoCluster
	flagCrossSlot
	flagKeyLocking // touches declared keys only: its shards are locked, not all
	flagDeclared   // there was a shebang: what is not declared is not allowed
)

// scriptFlagNames are the flags as scripts write them, in the order in which Redis lists them; ours is the last.
var scriptFlagNames = [...]string{"no-writes", "allow-oom", "allow-stale", "no-cluster", "allow-cross-slot-keys", "allow-key-locking"}

func scriptFlag(name string) (scriptFlags, bool) {
	for i, n := range scriptFlagNames {
		if n == name {
			return 1 << i, true
		}
	}
	return 0, false
}

// shebang reads the first line of a script, "#!lua flags=a,b", and returns the rest, line end included.
func shebang(text string) (code string, flags scriptFlags, err error) {
	if !strings.HasPrefix(text, "#!") {
		return text, 0, nil
	}
	line, _, found := strings.Cut(text, "\n")
	if !found {
		return "", 0, errors.New("Invalid script shebang")
	}
	words, err := config.SplitArgs(line)
	if err != nil || len(words) == 0 {
		return "", 0, errors.New("Invalid engine in script shebang")
	}
	if words[0] != "#!lua" {
		return "", 0, errors.New("Unexpected engine in script shebang: " + words[0])
	}
	flags = flagDeclared
	for _, w := range words[1:] {
		list, is := strings.CutPrefix(w, "flags=")
		if !is {
			return "", 0, errors.New("Unknown lua shebang option: " + w)
		}
		if list == "" {
			continue
		}
		for name := range strings.SplitSeq(list, ",") {
			f, known := scriptFlag(name)
			if !known {
				return "", 0, errors.New("Unexpected flag in script shebang: " + name)
			}
			flags |= f
		}
	}
	return text[len(line):], flags, nil
}

// commandFlags are the flags of a command that runs a script of these flags.
func (f scriptFlags) commandFlags(of Flag) Flag {
	of &^= Stale | DenyOOM | Write
	if f&(flagAllowOOM|flagNoWrites) == 0 {
		of |= DenyOOM
	}
	if f&flagNoWrites == 0 {
		of |= Write
	}
	if f&flagAllowStale != 0 {
		of |= Stale
	}
	return of &^ MayReplicate
}

// refusal says why a script of these flags may not run now, or nothing.
func (f scriptFlags) refusal(readOnly, full bool) string {
	switch {
	case f&flagDeclared == 0:
	case f&flagNoWrites == 0 && readOnly:
		return "ERR Can not execute a script with write flag using *_ro command."
	case full && f&(flagAllowOOM|flagNoWrites) == 0:
		return "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'"
	}
	return ""
}

const errNoScript engine.Error = "NOSCRIPT No matching script. Please use EVAL."
