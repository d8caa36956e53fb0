package rest

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/larderdb/larder/store"
)

// user is whom a token stands for.
type user struct {
	token    [sha256.Size]byte // its hash
	readOnly bool
	st       store.Store
	name     string // of whose the subscriptions are: who has another Store has those of his own
}

func (s *Server) addUser(token, name string, st store.Store, readOnly bool) {
	if token != "" {
		s.users = append(s.users, user{sha256.Sum256([]byte(token)), readOnly, st, name})
	}
}

// addUsers makes the tokens of the options known.
func (s *Server) addUsers(st store.Store) {
	s.addUser(s.o.Token, "", st, false)
	s.addUser(s.o.ReadOnlyToken, "", st, true)
	for token, own := range s.o.Users {
		sum := sha256.Sum256([]byte(token))
		s.addUser(token, "token "+hex.EncodeToString(sum[:]), own, false)
	}
}

var errNoToken = errors.New("WRONGPASS invalid or missing auth token")

// authorize finds the user of the request's token. It takes the same time for every token that is known, or nearly is.
func (s *Server) authorize(r *http.Request) (*user, error) {
	token := tokenOf(r)
	if token == "" {
		return nil, errNoToken
	}
	sum := sha256.Sum256([]byte(token))
	var found *user
	for i := range s.users {
		if subtle.ConstantTimeCompare(sum[:], s.users[i].token[:]) == 1 {
			found = &s.users[i]
		}
	}
	if found != nil {
		return found, nil
	}
	name, password, ok := strings.Cut(token, ":")
	if !ok || s.o.LogIn == nil {
		return nil, errNoToken
	}
	st, err := s.o.LogIn(name, password)
	switch {
	case errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrClosed):
		return nil, err
	case err != nil || st == nil:
		return nil, errNoToken
	}
	return &user{st: st, name: "user " + name}, nil
}

// tokenOf is the token that a request brings: of its header or, where that has none, of its query. Of several headers it is not
// clear which one counts.
func tokenOf(r *http.Request) string {
	switch given := r.Header["Authorization"]; {
	case len(given) > 1:
		return ""
	case len(given) == 1:
		if scheme, bearer, ok := strings.Cut(given[0], " "); ok && strings.EqualFold(scheme, "bearer") {
			return strings.TrimSpace(bearer)
		}
	}
	query := r.URL.RawQuery
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if name, value, _ := strings.Cut(pair, "="); strings.Contains(name, "token") || strings.Contains(name, "%") {
			if name, err := url.QueryUnescape(name); err != nil || name != tokenName {
				continue
			}
			token, err := url.QueryUnescape(value)
			if err != nil {
				return ""
			}
			return token
		}
	}
	return ""
}

// tokenName is the parameter that holds a token.
const tokenName = "_token"
