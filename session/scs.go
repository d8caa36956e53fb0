package session

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/larderdb/larder/internal/clock"
	"github.com/larderdb/larder/store"
)

// DefaultSCSPrefix begins the keys of an SCS.
const DefaultSCSPrefix = "scs:"

// SCSOptions are for NewSCS. The zero value is right.
type SCSOptions struct {
	// Prefix begins every key in the store; it has no braces. Default DefaultSCSPrefix.
	Prefix string

	// Tombstone is how long a deleted session cannot be committed again: longer than any request takes. Default
	// DefaultTombstone.
	Tombstone time.Duration

	// Timeout as in Options.
	Timeout time.Duration

	// Clock, if set, is where time comes from, for tests of this module.
	Clock clock.Clock
}

// SCS keeps the sessions of github.com/alexedwards/scs. It is an scs.Store, CtxStore, IterableStore and
// IterableCtxStore:
//
//	sessions := scs.New()
//	sessions.Store, err = session.NewSCS(st, session.SCSOptions{})
//
// Beyond what scs asks: tokens are hashed, whether or not HashTokenInStore is set; a session that was destroyed, or
// whose token was renewed, is not brought back by a request that commits late; and iteration reads lists that every
// commit keeps, never the whole keyspace.
//
// Find, Commit and Delete are one round trip each; a commit that comes after the session's end may be two.
//
// scs stores a session as one value, so two requests that change different values still overwrite each other. That is
// what Manager is for.
type SCS struct {
	st      store.Store
	get     store.Getter
	replace store.Replacer
	o       SCSOptions
	timeout *store.CallTimeout
	clock   clock.Clock
	tomb    string
	secret  [32]byte // of this process: authenticates what All calls tokens
	listed  listings

	roots, lists [128]string // by the bucket's character: how its keys begin; its list. Never changed
}

// NewSCS makes an SCS on st. It does not touch the store.
func NewSCS(st store.Store, o SCSOptions) (*SCS, error) {
	if o.Prefix == "" {
		o.Prefix = DefaultSCSPrefix
	}
	if o.Tombstone == 0 {
		o.Tombstone = DefaultTombstone
	}
	if strings.ContainsAny(o.Prefix, "{}") || o.Tombstone < time.Millisecond || o.Tombstone > most {
		return nil, fmt.Errorf("session: %w: Prefix %q, Tombstone %v: want no braces, and 1ms to %v", store.ErrInvalid, o.Prefix, o.Tombstone, most)
	}
	s := &SCS{st: st, get: store.GetterOf(st), replace: store.ReplacerOf(st), o: o, timeout: store.CallTimeoutFor(st, o.Timeout, DefaultTimeout), clock: o.Clock, tomb: millis(o.Tombstone)}
	if s.clock == nil {
		s.clock = clock.System()
	}
	_, _ = rand.Read(s.secret[:])
	for i := range scsBuckets {
		root := s.bucket(alphabet[i : i+1])
		s.roots[alphabet[i]], s.lists[alphabet[i]] = root, root+"list"
	}
	return s, nil
}

// scsBuckets is how many lists there are: the first character of a hash is its bucket and hash tag.
const scsBuckets = len(alphabet)

func (s *SCS) bucket(name string) string { return s.o.Prefix + "{" + name + "}" }

// spot is where a token's session lies.
type spot struct {
	sum         [sha256.Size]byte // the token's hash
	root        string            // how the bucket's keys begin
	value, list string            // keys
	member      string            // of the list: how the value's key ends
}

func (s *SCS) spot(token string) (at spot) {
	sum, ok := s.handled(token)
	if !ok {
		sum = sha256.Sum256([]byte(token))
	}
	var text [hashLen]byte
	base64.RawURLEncoding.Encode(text[:], sum[:])
	at.sum, at.root, at.list = sum, s.roots[text[0]], s.lists[text[0]]
	var room [128]byte
	at.value = string(append(append(room[:0], at.root...), text[1:]...))
	at.member = at.value[len(at.root):]
	return at
}

// tombstone is the key that says that the session was deleted. It is longer than any other of a bucket.
func (at *spot) tombstone() string { return at.root + "ended:" + at.member }

// What All calls a token is a handle: the hash, and a code that only this process can make. Find, Commit and Delete take
// it for the hash, so that what scs's Iterate calls can read, change and destroy a session, and yet nobody who
// learnt a hash from the store can use it as a token.
const handleMark = "\x00"

func (s *SCS) handle(hash string) string { return handleMark + hash + s.code(hash) }

func (s *SCS) code(hash string) string {
	mac := hmac.New(sha256.New, s.secret[:])
	mac.Write([]byte(hash))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (s *SCS) handled(token string) (sum [sha256.Size]byte, ok bool) {
	rest, ok := strings.CutPrefix(token, handleMark)
	if !ok || len(rest) != 2*hashLen || !hmac.Equal([]byte(rest[hashLen:]), []byte(s.code(rest[:hashLen]))) {
		return sum, false
	}
	n, err := base64.RawURLEncoding.Decode(sum[:], []byte(rest[:hashLen]))
	return sum, err == nil && n == len(sum)
}

// FindCtx is the data of a session. found is false for a token that is unknown, expired, deleted or none at all.
func (s *SCS) FindCtx(ctx context.Context, token string) (b []byte, found bool, err error) {
	if token == "" {
		return nil, false, nil
	}
	ctx, cancel := s.timeout.Bound(ctx)
	defer cancel()
	at := s.spot(token)
	v, found, err := s.get.GetBytes(ctx, at.value, nil)
	if err != nil || !found || len(v) < scsHead || v[0] != '1' {
		return nil, false, store.Wrap("session", "find", at.value, err)
	}
	if until, ok := store.Digits(string(v[1:scsHead]), maxDigits); ok {
		s.listed.remember(&at.sum, until)
	}
	return v[scsHead:], true, nil
}

// CommitCtx stores the data of a session until expiry. It does nothing, without an error, for one that was deleted less
// than Tombstone ago; an expiry that has passed deletes.
func (s *SCS) CommitCtx(ctx context.Context, token string, b []byte, expiry time.Time) error {
	if token == "" {
		return fmt.Errorf("session: commit: %w: no token", store.ErrInvalid)
	}
	now := s.clock.Now()
	left := min(expiry.Sub(now), most)
	if left <= 0 {
		return s.DeleteCtx(ctx, token)
	}
	ctx, cancel := s.timeout.Bound(ctx)
	defer cancel()
	at, ttl := s.spot(token), store.Millis(left)
	// The time to spare is for clocks: the list goes by the store's, expiry by this process's.
	if until := s.listed.until(&at.sum); until >= now.UnixMilli()+ttl+ttl/clockShare {
		if replaced, err := s.overwrite(ctx, at.value, until, b, left); replaced || err != nil {
			return store.Wrap("session", "commit", at.value, err)
		}
	}
	until, err := s.st.Run(ctx, commitScript, []string{at.value, at.tombstone(), at.list},
		string(b), strconv.FormatInt(ttl, 10), at.member).Int64()
	if err == nil {
		s.listed.remember(&at.sum, until)
	}
	return store.Wrap("session", "commit", at.value, err)
}

// clockShare is the part of a session's time by which this process's clock may be behind the store's.
const clockShare = 8

// overwrite stores a session that is there.
func (s *SCS) overwrite(ctx context.Context, key string, until int64, b []byte, ttl time.Duration) (bool, error) {
	room, _ := values.Get().(*[]byte)
	defer values.Put(room)
	value := headed((*room)[:0], until, b)
	if cap(value) <= keepBytes {
		*room = value
	}
	return s.replace.ReplaceBytes(ctx, key, value, ttl)
}

// DeleteCtx ends a session. A token that is unknown is no error.
func (s *SCS) DeleteCtx(ctx context.Context, token string) error {
	if token == "" {
		return nil
	}
	ctx, cancel := s.timeout.Bound(ctx)
	defer cancel()
	at := s.spot(token)
	s.listed.remember(&at.sum, 0)
	err := s.st.Run(ctx, deleteScript, []string{at.value, at.tombstone(), at.list}, s.tomb, at.member).Err()
	return store.Wrap("session", "delete", at.value, err)
}

// allPage is how many sessions of a bucket All asks for at once.
const allPage = "256"

// AllCtx is the data of all sessions. The keys of the map are handles, not tokens: this SCS takes them like tokens, and
// nobody else does. A session that lives all the while is there; one that comes or goes meanwhile may be. O(sessions), in
// steps of O(256) at the server; two round trips per 16 Ki sessions.
func (s *SCS) AllCtx(ctx context.Context) (map[string][]byte, error) {
	all := map[string][]byte{}
	scans := make([]store.Cmd, scsBuckets)
	for i := range scans {
		scans[i] = store.Cmd{"ZSCAN", s.bucket(alphabet[i:i+1]) + "list", "0", "COUNT", allPage}
	}
	for len(scans) > 0 {
		reads, more, err := s.scan(ctx, scans)
		if err == nil {
			err = s.read(ctx, all, reads)
		}
		if err != nil {
			return nil, store.Wrap("session", "all", s.o.Prefix, err)
		}
		scans = more
	}
	return all, nil
}

// scan takes the next step through each list: what to read for it, and the steps after.
func (s *SCS) scan(ctx context.Context, scans []store.Cmd) (reads, more []store.Cmd, err error) {
	for i, r := range s.pipe(ctx, scans) {
		step, err := r.Array()
		if err == nil && len(step) != 2 {
			err = fmt.Errorf("%w: %d elements of ZSCAN", store.ErrReply, len(step))
		}
		if err != nil {
			return nil, nil, err
		}
		members, err := step[1].Scores()
		if err != nil {
			return nil, nil, err
		}
		if len(members) > 0 {
			read := make(store.Cmd, 1, 1+len(members))
			read[0] = "MGET"
			bucket := strings.TrimSuffix(scans[i][1], "list")
			for _, m := range members {
				read = append(read, bucket+m.Member)
			}
			reads = append(reads, read)
		}
		if cursor, err := step[0].Text(); err != nil {
			return nil, nil, err
		} else if cursor != "0" {
			scans[i][2] = cursor
			more = append(more, scans[i])
		}
	}
	return reads, more, nil
}

// read adds the sessions that live.
func (s *SCS) read(ctx context.Context, all map[string][]byte, reads []store.Cmd) error {
	if len(reads) == 0 {
		return nil
	}
	for i, r := range s.pipe(ctx, reads) {
		values, err := r.Array()
		if err == nil && len(values) != len(reads[i])-1 {
			err = fmt.Errorf("%w: %d values for %d keys", store.ErrReply, len(values), len(reads[i])-1)
		}
		if err != nil {
			return err
		}
		for k, v := range values {
			text, _, err := v.Lookup()
			if err != nil {
				return err
			}
			if strings.HasPrefix(text, "1") && len(text) >= scsHead {
				name, member, _ := strings.Cut(strings.TrimPrefix(reads[i][k+1], s.o.Prefix+"{"), "}")
				all[s.handle(name+member)] = []byte(text[scsHead:])
			}
		}
	}
	return nil
}

func (s *SCS) pipe(ctx context.Context, cmds []store.Cmd) []store.Reply {
	ctx, cancel := s.timeout.Bound(ctx)
	defer cancel()
	return s.st.Pipe(ctx, cmds...)
}

// Find is FindCtx without a ctx.
func (s *SCS) Find(token string) (b []byte, found bool, err error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx without a ctx.
func (s *SCS) Commit(token string, b []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, b, expiry)
}

// Delete is DeleteCtx without a ctx.
func (s *SCS) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

// All is AllCtx without a ctx.
func (s *SCS) All() (map[string][]byte, error) { return s.AllCtx(context.Background()) }
