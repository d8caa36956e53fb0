package session

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/larderdb/larder/observe"
	"github.com/larderdb/larder/store"
)

// Info is what List tells of a session.
type Info struct {
	ID       string // for Revoke; no token can be made of it
	Created  time.Time
	LastSeen time.Time // up to Options.TouchEvery late
	Deadline time.Time // when it ends at the latest
	Agent    string    // if recorded: see Options.Client and Session.SetClient
	Addr     string
}

// maxListed bounds what List answers.
const maxListed = 1000

// rounds bounds how long RevokeAll follows sessions that rotate away from it.
const rounds = 64

// List tells a user's sessions, the one used last first; at most 1000, those that end last. Two round trips, one if the
// user has none, O(sessions); one more when sessions had ended by idleness, which are then taken off the list.
func (m *Manager) List(ctx context.Context, user string) ([]Info, error) {
	if err := checkUser(user); err != nil {
		return nil, err
	}
	ctx, end := m.begin(ctx, "list", user)
	out, err := m.list(ctx, user)
	end(result(err), err)
	return out, m.wrap("list", user, err)
}

func (m *Manager) list(ctx context.Context, user string) ([]Info, error) {
	ctx, cancel := m.timeout.Bound(ctx)
	defer cancel()
	hashes, err := m.st.Do(ctx, "ZRANGE", m.index(user), strconv.Itoa(-maxListed), "-1").Strings()
	if err != nil || len(hashes) == 0 {
		return nil, err
	}
	bucket := bucketOf(user)
	cmds := make([]store.Cmd, len(hashes))
	for i, h := range hashes {
		cmds[i] = store.Cmd{"HMGET", m.o.Prefix + "{" + bucket + "}" + h, "c", "s", "d", "a", "i", "x"}
	}
	out := make([]Info, 0, len(hashes))
	keys, gone := []string{m.index(user)}, []string(nil)
	for i, r := range m.st.Pipe(ctx, cmds...) {
		v, err := r.Strings()
		switch {
		case err != nil:
			return nil, err
		case len(v) != 6:
			return nil, fmt.Errorf("%w: %d values for 6 fields", store.ErrReply, len(v))
		case v[0] == "" || v[5] != "":
			keys, gone = append(keys, cmds[i][1]), append(gone, hashes[i])
		default:
			out = append(out, Info{ID: bucket + hashes[i], Created: moment(v[0]), LastSeen: moment(v[1]), Deadline: moment(v[2]), Agent: v[3], Addr: v[4]})
		}
	}
	slices.SortStableFunc(out, func(a, b Info) int {
		return cmp.Or(b.LastSeen.Compare(a.LastSeen), b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID))
	})
	if len(gone) == 0 {
		return out, nil
	}
	return out, m.st.Run(ctx, pruneScript, keys, gone...).Err()
}

// Revoke ends one session of a user, by its ID. False if the user has no such session: the ID may come from a form.
// One round trip.
func (m *Manager) Revoke(ctx context.Context, user, id string) (bool, error) {
	if err := checkUser(user); err != nil {
		return false, err
	}
	if !wellFormed(id) || id[:bucketLen] != bucketOf(user) {
		return false, nil
	}
	ctx, end := m.begin(ctx, "revoke", user)
	n, _, err := m.revoke(ctx, user, []string{id[bucketLen:]})
	end(result(err), err)
	return n > 0, m.wrap("revoke", user, err)
}

// RevokeAll ends all sessions of a user but those of the given IDs, 255 at most, and tells how many: "log out everywhere", or
// "everywhere else". When it returns, no session lives that had begun when it was called, and no request that holds one
// can store anything in it; those that rotate their tokens meanwhile are met too. Two round trips, and one more per 256
// sessions.
func (m *Manager) RevokeAll(ctx context.Context, user string, except ...string) (int, error) {
	if err := checkUser(user); err != nil {
		return 0, err
	}
	if len(except) >= batch { // else what is listed first could be these alone, and the others be missed
		return 0, fmt.Errorf("session: revoke: %w: %d exceptions, want %d at most", store.ErrInvalid, len(except), batch-1)
	}
	ctx, end := m.begin(ctx, "revoke", user)
	n, err := m.revokeAll(ctx, user, except)
	end(result(err), err)
	return n, m.wrap("revoke", user, err)
}

func (m *Manager) revokeAll(ctx context.Context, user string, except []string) (total int, err error) {
	var hashes []string
	for range rounds {
		n, left, err := m.revoke(ctx, user, hashes)
		total += n
		if err != nil {
			return total, err
		}
		hashes = hashes[:0]
		for _, h := range left {
			if !slices.Contains(except, bucketOf(user)+h) {
				hashes = append(hashes, h)
			}
		}
		if len(hashes) == 0 {
			return total, nil
		}
	}
	return total, fmt.Errorf("%w: the user's sessions are more than %d, or begin faster than they can be ended", store.ErrUnavailable, rounds*batch)
}

// revoke ends sessions by the hash parts of their ids, and tells which are left, a batch at most.
func (m *Manager) revoke(ctx context.Context, user string, hashes []string) (ended int, left []string, err error) {
	bucket := bucketOf(user)
	keys := make([]string, 1, 1+len(hashes))
	keys[0] = m.index(user)
	for _, h := range hashes {
		keys = append(keys, m.o.Prefix+"{"+bucket+"}"+h)
	}
	list, err := m.run(ctx, revokeScript, keys, append([]string{m.tomb, "revoked"}, hashes...)...).Array()
	if err != nil {
		return 0, nil, err
	}
	if len(list) == 0 {
		return 0, nil, fmt.Errorf("%w: an empty array", store.ErrReply)
	}
	n, err := list[0].Int64()
	if err != nil {
		return 0, nil, err
	}
	m.n.destroyed.Add(uint64(n)) //nolint:gosec // a count
	left, err = store.ArrayOf(list[1:]...).Strings()
	return int(n), left, err
}

func checkUser(user string) error {
	if user == "" || len(user) > maxUser {
		return fmt.Errorf("session: %w: user of %d bytes, want 1 to %d", store.ErrInvalid, len(user), maxUser)
	}
	return nil
}

func moment(ms string) time.Time {
	n, _ := store.Digits(ms, maxDigits)
	return unixMilli(n)
}

func result(err error) string {
	if err != nil {
		return observe.Failed
	}
	return observe.OK
}
